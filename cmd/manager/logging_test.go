package main

import (
	"errors"
	"slices"
	"testing"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
)

func TestEndingSink(t *testing.T) {
	var lines []string
	sink := funcr.NewJSON(func(line string) { lines = append(lines, line) }, funcr.Options{}).GetSink()
	logger := logr.New(endingSink{sink}).WithName("manager").WithValues("key", "value")

	logger.Error(errors.New(endingError), endingMessage)
	logger.Error(errors.New("no connection"), endingMessage)
	logger.Error(errors.New(endingError), "another message")

	want := []string{
		`{"logger":"manager","level":0,"msg":"the lease is given back","key":"value"}`,
		`{"logger":"manager","msg":"error received after stop sequence was engaged","error":"no connection","key":"value"}`,
		`{"logger":"manager","msg":"another message","error":"leader election lost","key":"value"}`,
	}
	if !slices.Equal(lines, want) {
		t.Errorf("got\n%q\nwant\n%q", lines, want)
	}
}
