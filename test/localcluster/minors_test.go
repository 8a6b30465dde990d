package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChosenMinors(t *testing.T) {
	known := []string{"1.30", "1.31", "1.32"}
	for name, test := range map[string]struct{ names, want []string }{
		"by name": {[]string{"1.31"}, []string{"1.31"}},
		"ends":    {[]string{"newest", "oldest"}, []string{"1.30", "1.32"}},
		"twice":   {[]string{"oldest", "1.30"}, []string{"1.30"}},
		"all":     {[]string{"all"}, known},
		"unknown": {[]string{"1.30", "1.29"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := chosenMinors(known, test.names)
			if diff := cmp.Diff(test.want, got); diff != "" || (err == nil) != (test.want != nil) {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}
