package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"lethe/attendees/old/postgres"
	"lethe/migrations"
)

func (a *app) migrateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Bring the database up to date",
		Long: `Bring the database that DATABASE_URL names up to date. Several may run at once: one
works, the others wait. The private database needs none; it is brought up to date
whenever it is started.`,
		Args: exactly(0, "no arguments"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := a.configure(); err != nil {
				return err
			}
			if a.config.DatabaseURL == "" {
				return errors.New("DATABASE_URL is not set: the private database of `lethe up` is brought up to date by itself")
			}
			db, err := postgres.Open(a.config.DatabaseURL)
			if err != nil {
				return err
			}
			defer func() { _ = db.Close() }()
			if err := db.PingContext(cmd.Context()); err != nil {
				return unreachable(err)
			}
			if err := migrations.Up(cmd.Context(), db.DB); err != nil {
				return err
			}
			has, _, err := migrations.Version(cmd.Context(), db.DB)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "The database is at version %d.\n", has)
			return nil
		},
	}
}
