package main

import (
	"errors"
	"fmt"

	"github.com/job-handler/job-handler/internal/api"
	"github.com/job-handler/job-handler/internal/logtext"
	"github.com/job-handler/job-handler/internal/resultsview"
)

// printRest prints the logs that can still be read after a part was lost: the chosen
// logs, if all precede the lost part; for all logs, the readable text in the results
// object itself.
func (w *logWriter) printRest(run *resultsview.Run, logs *resultsview.Logs, o *logsOptions, lost *resultsview.PartError) error {
	if o.choice.all() && o.tail < 0 && !o.raw {
		w.write([]byte(safe(run.Data[api.DataLogs])))
		return fmt.Errorf("%w; this is the readable text, which may be shortened: %s", unreadable(run, lost), wholeLogs(run, logs))
	}
	chosen, err := chosenLogs(logs, &o.choice)
	if err != nil {
		return err
	}
	for _, l := range chosen {
		if l.Missing {
			return fmt.Errorf("%w; the log of %s cannot be read. What can: %s", unreadable(run, lost), describe(l), wholeLogs(run, logs))
		}
	}
	fmt.Fprintf(o.ErrOut, "Note: %s; the logs that you see are whole\n", safe(unreadable(run, lost).Error()))
	return w.print(run, logs, o)
}

// unreadable names the part of the logs that is lost.
func unreadable(run *resultsview.Run, lost *resultsview.PartError) error {
	text := fmt.Sprintf("the logs in %s are not whole: %s", run.Object, lost)
	return errors.New(safe(text))
}

// wholeLogs names the logs that can still be read.
func wholeLogs(run *resultsview.Run, logs *resultsview.Logs) string {
	var whole []string
	for i := range logs.List {
		if l := &logs.List[i]; l.End > 0 {
			whole = append(whole, describe(l))
		}
	}
	text := fmt.Sprintf("%s of %s to the byte (--pod, -c)", logtext.Count(int64(len(whole)), "log"), logtext.Count(int64(len(logs.List)), "log"))
	if len(whole) > 0 {
		text += ":\n" + list(whole[:min(len(whole), maxRows)], "")
	}
	return text + fmt.Sprintf("\nand the readable text: kubectl job-results logs %s", run.Name)
}
