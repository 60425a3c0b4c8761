//go:build !linux

package pgtest

func folder() string { return "" }
