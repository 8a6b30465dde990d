package options

import "github.com/spf13/pflag"

const (
	logFormatJSON = "json"
	logFormatText = "text"
)

func (m *Manager) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&m.Namespace, "namespace", m.Namespace,
		"Namespace of the manager: its lease is there, and Jobs in it are not handled. $POD_NAMESPACE sets the default.")
	fs.StringSliceVar(&m.ExcludedNamespaces, "exclude-namespaces", nil,
		"Namespaces whose Jobs are not handled, besides kube-system and the manager's own.")
	fs.StringVar(&m.Kubeconfig, "kubeconfig", m.Kubeconfig,
		"File with the connection to the cluster. Empty: $KUBECONFIG, then the pod's own account, then ~/.kube/config.")
	fs.BoolVar(&m.LeaderElect, "leader-elect", m.LeaderElect,
		"Let only one of several managers handle Jobs. All of them answer admission requests.")
	fs.StringVar(&m.MetricsAddress, "metrics-bind-address", m.MetricsAddress,
		"host:port of the metrics; 0 turns them off. On a loopback address they are for everybody there; on any other over TLS, "+
			"with the webhook's certificate, for those who have the right to get /metrics.")
	fs.StringVar(&m.HealthAddress, "health-probe-bind-address", m.HealthAddress,
		"host:port of /healthz and /readyz; 0 turns them off.")
	fs.StringVar(&m.PprofAddress, "pprof-bind-address", m.PprofAddress,
		"host:port, of the loopback device, of profiles of the process; empty turns them off.")
	fs.Int8VarP(&m.LogLevel, "v", "v", m.LogLevel,
		"Log `level`: 0 a line for each Job handled, 1 also why a look at a Job changed nothing; at most 7, since beyond that requests are logged with what they hold.")
	fs.StringVar(&m.LogFormat, "log-format", m.LogFormat, "Form of the log lines: json or text.")
}

func (w *Webhook) addFlags(fs *pflag.FlagSet) {
	fs.BoolVar(&w.Enabled, "webhook", w.Enabled,
		"Answer admission requests. Without it the manager stamps Jobs when it first sees them.")
	fs.StringVar(&w.Host, "webhook-host", w.Host, "Address to listen on; empty for all.")
	fs.IntVar(&w.Port, "webhook-port", w.Port, "Port to listen on.")
	fs.StringVar(&w.CertDir, "webhook-cert-dir", w.CertDir,
		"Folder with tls.crt and tls.key; a new certificate is taken up without a restart.")
	fs.StringVar(&w.Certificate, "webhook-certificate", w.Certificate,
		"Certificate of cert-manager, as namespace/name, that fills --webhook-cert-dir: the manager is ready once it is issued. "+
			"Empty: the files come from elsewhere.")
	fs.DurationVar(&w.ShutdownDelay, "webhook-shutdown-delay", w.ShutdownDelay,
		"How long admission requests are still taken once the manager was told to end and has given back its lease.")
	fs.DurationVar(&w.SelfTestInterval, "self-test-interval", w.SelfTestInterval,
		"How often the manager tests, with a Job that it creates in a dry run, whether Jobs are stamped; 0 turns it off.")
}

func (j *Jobs) addFlags(fs *pflag.FlagSet) {
	fs.StringVar(&j.LogMode, "log-mode", j.LogMode,
		"What is read of the logs where neither Job nor Namespace says: full, follow or status.")
	fs.StringVar(&j.ResultsTTL, "results-ttl", j.ResultsTTL,
		"How long results are kept where neither Job nor Namespace says: a duration (s m h d w) or never.")
	fs.StringVar(&j.DeleteAfterSuccess, "delete-after-success", j.DeleteAfterSuccess,
		"When a completed Job is deleted where nothing else says: a duration (s m h d w) after its end, or never.")
	fs.StringVar(&j.DeleteAfterFailure, "delete-after-failure", j.DeleteAfterFailure,
		"When a failed Job is deleted where nothing else says: a duration (s m h d w) after its end, or never.")
	fs.StringSliceVar(&j.PropagatableLabels, "propagatable-labels", j.PropagatableLabels,
		"Label keys that the annotation job-handler/propagate-labels may name; a trailing * stands for any rest.")
	fs.StringSliceVar(&j.LeftAloneLabels, "left-alone-labels", nil,
		"Labels of Jobs that another tool keeps: the manager stores their results, but neither deletes them nor raises their TTL. "+
			"Each is a key or key=value. Jobs of Argo CD, Flux, Helm and other well-known tools are left alone without it.")
	fs.StringSliceVar(&j.LeftAloneAnnotations, "left-alone-annotations", nil,
		"Annotations of Jobs that another tool keeps, as --left-alone-labels.")
	fs.DurationVar(&j.TTLFloor, "ttl-floor", j.TTLFloor,
		"Shortest ttlSecondsAfterFinished with which a Job is left until its results are stored.")
	fs.DurationVar(&j.RecheckInterval, "recheck-interval", j.RecheckInterval,
		"How often a running Job is looked at again, besides the watch; 0 turns it off.")
	fs.DurationVar(&j.ScanInterval, "scan-interval", j.ScanInterval,
		"How often opted-in namespaces are searched for Jobs that admission missed; 0 searches only when a namespace changes.")
	fs.DurationVar(&j.LogDeadline, "log-deadline", j.LogDeadline,
		"How long reading logs is tried again before results are stored without them.")
	fs.BoolVar(&j.Protect, "protect", j.Protect,
		"Have a finalizer hold Jobs that somebody deletes until their results are stored, where neither Job nor Namespace says.")
	fs.DurationVar(&j.ProtectDeadline, "protect-deadline", j.ProtectDeadline,
		"How long that finalizer may hold up the deletion of a finished Job before it goes without results.")
	fs.BoolVar(&j.RedactBuiltin, "redact-builtin", j.RedactBuiltin,
		"Replace well-known forms of credentials in logs and messages before they are stored.")
	fs.StringArrayVar(&j.Redact, "redact", nil,
		"Replace also what matches this `pattern` (RE2) within a line, or its first group. Can be given several times.")
}

func (l *Limits) addFlags(fs *pflag.FlagSet) {
	fs.IntVar(&l.Workers, "workers", l.Workers, "Jobs looked at at the same time.")
	fs.IntVar(&l.LogStreams, "log-streams", l.LogStreams,
		"Log reads open at the same time. Namespaces share them fairly.")
	fs.IntVar(&l.CaptureStreams, "capture-streams", l.CaptureStreams,
		"Logs of deleted pods followed at the same time. Namespaces share them fairly: those beyond it wait, and a silent one gives way.")
	fs.IntVar(&l.FollowStreams, "follow-streams", l.FollowStreams,
		"Logs of running pods followed at the same time, for log-mode follow. Namespaces share them fairly. Those beyond it are read at the end, unless their turn comes.")
	fs.Var(&l.LogMemory, "log-memory", "Log text in memory at the same time, in bytes (Ki, Mi, Gi).")
	fs.Var(&l.CaptureMemory, "capture-memory",
		"What logs take in memory that are followed, or of pods that are deleted, before the results of their Job are stored, in bytes (Ki, Mi, Gi).")
	fs.Var(&l.MaxResultsSize, "max-results-size",
		"The most that is stored of one Job, in bytes (Ki, Mi), from 32Ki to 16Mi. One object holds 1Mi; further objects hold the rest.")
	fs.IntVar(&l.Writes, "writes", l.Writes, "Writing requests in flight at the same time.")
	fs.DurationVar(&l.LogIdleTimeout, "log-idle-timeout", l.LogIdleTimeout,
		"How long a log read may go without a byte before it is given up for this try.")
}
