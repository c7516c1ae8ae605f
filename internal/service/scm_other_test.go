//go:build !windows

package service

func asService() {}
