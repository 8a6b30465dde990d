package metrics

func buildDefinitions() []Definition { return []Definition{buildInfo} }

var buildInfo = Definition{
	Name: Prefix + "build_info", Kind: Gauge,
	Help:   "Always 1; the labels say which build the manager is.",
	Labels: []Label{{Name: "version", Open: "Of the build; one for each process."}},
}

// NewBuild registers what tells of the build. It fails if it is registered.
func NewBuild(registry Registry, version string) error {
	m := making{registry: registry}
	m.gauge(buildInfo).WithLabelValues(version).Set(1)
	return m.finish("the build")
}
