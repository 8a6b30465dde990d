package options

import "github.com/spf13/pflag"

const (
	logFormatJSON = "json"
	logFormatText = "text"
)

func (m *Manager) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&m.Namespace, "namespace", m.Namespace,
		"Namespace of the manager. It holds the lease, and Jobs in it are not handled. $POD_NAMESPACE sets the default.")
	fs.StringSliceVar(&m.ExcludedNamespaces, "exclude-namespaces", nil,
		"Namespaces whose Jobs are not handled, besides kube-system and the manager's own.")
	fs.StringVar(&m.Kubeconfig, "kubeconfig", m.Kubeconfig,
		"Kubeconfig file. If empty: $KUBECONFIG, then the pod's own account, then ~/.kube/config.")
	fs.BoolVar(&m.LeaderElect, "leader-elect", m.LeaderElect,
		"Elect one of several managers to handle Jobs. All of them answer admission requests.")
	fs.StringVar(&m.MetricsAddress, "metrics-bind-address", m.MetricsAddress,
		"host:port of the metrics; 0 turns them off. A loopback address needs no authentication. Any other address uses TLS "+
			"with the webhook's certificate, and callers need the right to get /metrics.")
	fs.StringVar(&m.HealthAddress, "health-probe-bind-address", m.HealthAddress,
		"host:port of /healthz and /readyz; 0 turns them off.")
	fs.StringVar(&m.PprofAddress, "pprof-bind-address", m.PprofAddress,
		"host:port of the profiles of the process, on a loopback address; empty turns them off.")
	fs.Int8VarP(&m.LogLevel, "v", "v", m.LogLevel,
		"Log `level`: 0 logs each Job handled, 1 also why a Job was left unchanged; at most 7, since higher levels log requests with their content.")
	fs.StringVar(&m.LogFormat, "log-format", m.LogFormat, "Format of the log lines: json or text.")
}

func (w *Webhook) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&w.Enabled, "webhook", w.Enabled,
		"Answer admission requests. Without it the manager stamps Jobs when it first sees them.")
	fs.StringVar(&w.Host, "webhook-host", w.Host, "Address to listen on; empty for all.")
	fs.IntVar(&w.Port, "webhook-port", w.Port, "Port to listen on.")
	fs.StringVar(&w.CertDir, "webhook-cert-dir", w.CertDir,
		"Folder with tls.crt and tls.key. A new certificate is loaded without a restart.")
	fs.StringVar(&w.Certificate, "webhook-certificate", w.Certificate,
		"Certificate of cert-manager, as namespace/name, that fills --webhook-cert-dir. The manager is ready once it is issued. "+
			"If empty, the files come from elsewhere.")
	fs.DurationVar(&w.ShutdownDelay, "webhook-shutdown-delay", w.ShutdownDelay,
		"How long the manager still answers admission requests after it was told to stop and gave back its lease.")
	fs.DurationVar(&w.SelfTestInterval, "self-test-interval", w.SelfTestInterval,
		"How often the manager checks that the webhook stamps Jobs, by creating one in a dry run; 0 turns the check off.")
}

func (j *Jobs) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&j.LogMode, "log-mode", j.LogMode,
		"How logs are read, unless the Job or its Namespace says otherwise: full, follow or status.")
	fs.StringVar(&j.ResultsTTL, "results-ttl", j.ResultsTTL,
		"How long results are kept, unless the Job or its Namespace sets it: a duration (s m h d w) or never.")
	fs.StringVar(&j.DeleteAfterSuccess, "delete-after-success", j.DeleteAfterSuccess,
		"When a completed Job is deleted, unless the Job or its Namespace sets it: a duration (s m h d w) after its end, or never.")
	fs.StringVar(&j.DeleteAfterFailure, "delete-after-failure", j.DeleteAfterFailure,
		"When a failed Job is deleted, unless the Job or its Namespace sets it: a duration (s m h d w) after its end, or never.")
	fs.StringSliceVar(&j.PropagatableLabels, "propagatable-labels", j.PropagatableLabels,
		"Label keys that the annotation job-handler/propagate-labels may name; a trailing * matches any rest.")
	fs.StringSliceVar(&j.LeftAloneLabels, "left-alone-labels", nil,
		"Labels of Jobs that another tool manages. The manager stores their results, but neither deletes them nor raises their TTL. "+
			"Each is a key or key=value. Jobs of Argo CD, Flux, Helm and other well-known tools need no flag.")
	fs.StringSliceVar(&j.LeftAloneAnnotations, "left-alone-annotations", nil,
		"Annotations of Jobs that another tool manages, as --left-alone-labels.")
	fs.DurationVar(&j.TTLFloor, "ttl-floor", j.TTLFloor,
		"Minimum ttlSecondsAfterFinished until the results of a Job are stored; a shorter one is raised.")
	fs.DurationVar(&j.RecheckInterval, "recheck-interval", j.RecheckInterval,
		"How often a running Job is checked again, besides the watch; 0 turns the check off.")
	fs.DurationVar(&j.ScanInterval, "scan-interval", j.ScanInterval,
		"How often opted-in namespaces are searched for Jobs that admission missed; 0 searches only when a namespace changes.")
	fs.DurationVar(&j.LogDeadline, "log-deadline", j.LogDeadline,
		"How long reading logs is retried before results are stored without them.")
	fs.BoolVar(&j.Protect, "protect", j.Protect,
		"Hold deleted Jobs with a finalizer until their results are stored, unless the Job or its Namespace says otherwise.")
	fs.DurationVar(&j.ProtectDeadline, "protect-deadline", j.ProtectDeadline,
		"How long the finalizer may delay the deletion of a finished Job. After that the Job is deleted without results.")
	fs.BoolVar(&j.RedactBuiltin, "redact-builtin", j.RedactBuiltin,
		"Replace well-known forms of credentials in logs and messages before they are stored.")
	fs.StringArrayVar(&j.Redact, "redact", nil,
		"Also replace text within a line that matches this `pattern` (RE2), or its first group. Can be repeated.")
}

func (l *Limits) addFlags(fs *pflag.FlagSet) {
	fs.IntVar(&l.Workers, "workers", l.Workers, "Jobs processed concurrently.")
	fs.IntVar(&l.LogStreams, "log-streams", l.LogStreams,
		"Log reads open concurrently. Namespaces share them fairly.")
	fs.IntVar(&l.CaptureStreams, "capture-streams", l.CaptureStreams,
		"Logs of deleted pods followed concurrently. Namespaces share them fairly: further logs wait, and a silent one gives way.")
	fs.IntVar(&l.FollowStreams, "follow-streams", l.FollowStreams,
		"Logs of running pods followed concurrently, for log-mode follow. Namespaces share them fairly. Further logs are read at the end, unless their turn comes.")
	fs.Var(&l.LogMemory, "log-memory", "Memory for the text of logs that are read, in bytes (Ki, Mi, Gi).")
	fs.Var(&l.CaptureMemory, "capture-memory",
		"Memory for followed logs and for logs of deleted pods, until the results of their Job are stored, in bytes (Ki, Mi, Gi).")
	fs.Var(&l.MaxResultsSize, "max-results-size",
		"Maximum size of the results of one Job, in bytes (Ki, Mi), from 32Ki to 16Mi. One object holds 1Mi; further objects hold the rest.")
	fs.IntVar(&l.Writes, "writes", l.Writes, "Write requests in flight concurrently.")
	fs.DurationVar(&l.LogIdleTimeout, "log-idle-timeout", l.LogIdleTimeout,
		"How long a log read may receive no byte before this try ends.")
}
