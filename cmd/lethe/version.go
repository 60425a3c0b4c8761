package main

import (
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which lethe this is",
		Args:  exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			version, goVersion := "unknown", "unknown"
			if b, ok := debug.ReadBuildInfo(); ok {
				version, goVersion = b.Main.Version, b.GoVersion
				for _, s := range b.Settings {
					if s.Key == "vcs.revision" && len(s.Value) >= shortRevision {
						version += " " + s.Value[:shortRevision]
					}
				}
			}
			fmt.Fprintf(a.out, "lethe %s, %s\n", version, goVersion)
			return nil
		},
	}
}

// shortRevision is as many digits as git shows.
const shortRevision = 12
