package main

import _ "embed"

const (
	configurationFile = "configuration.md"
	keysFile          = "../../api/keys.go"
)

//go:embed configuration.md.tmpl
var configurationTemplate string

func configuration() ([]byte, error) {
	keys, err := keyGroups(keysFile)
	if err != nil {
		return nil, err
	}
	return fill(configurationTemplate, nil, struct {
		FlagGroups []flagGroup
		KeyGroups  []keyGroup
	}{flagGroups(), keys})
}
