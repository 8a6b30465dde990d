package main

import (
	"github.com/go-logr/logr"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/job-handler/job-handler/internal/options"
)

func setLogger(opts *options.Options) {
	times := func(config *zapcore.EncoderConfig) { config.EncodeTime = zapcore.RFC3339NanoTimeEncoder }
	encode := zap.JSONEncoder(times)
	if opts.TextLogs() {
		encode = zap.ConsoleEncoder(times)
	}
	logger := zap.New(encode, zap.Level(zapcore.Level(-opts.Manager.LogLevel)), zap.StacktraceLevel(zapcore.PanicLevel))
	logger = logger.WithSink(endingSink{logger.GetSink()})
	ctrl.SetLogger(logger)
	klog.SetLogger(logger.WithName("client-go"))
}

// endingSink replaces a misleading error: after a leader was asked to end and gave its
// lease back, controller-runtime logs an error, although LeaderElectionReleaseOnCancel
// asks for that. A lost lease still ends the process with an error of its own.
type endingSink struct{ logr.LogSink }

// What controller-runtime logs then.
const (
	endingMessage = "error received after stop sequence was engaged"
	endingError   = "leader election lost"
)

// Error logs an error.
func (s endingSink) Error(err error, message string, keysAndValues ...any) {
	if message == endingMessage && err != nil && err.Error() == endingError {
		s.Info(0, "the lease is given back", keysAndValues...)
		return
	}
	s.LogSink.Error(err, message, keysAndValues...)
}

// WithValues returns a sink that logs the values too.
func (s endingSink) WithValues(keysAndValues ...any) logr.LogSink {
	return endingSink{s.LogSink.WithValues(keysAndValues...)}
}

// WithName returns a sink with a name added.
func (s endingSink) WithName(name string) logr.LogSink {
	return endingSink{s.LogSink.WithName(name)}
}
