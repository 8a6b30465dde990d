package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/printers"
	"k8s.io/kubectl/pkg/cmd/get"

	"github.com/job-handler/job-handler/internal/resultsview"
)

// wide is the priority of columns that only -o wide shows.
const wide = 1

var runColumns = []metav1.TableColumnDefinition{
	{Name: "Name", Type: "string", Format: "name"},
	{Name: "Job", Type: "string"},
	{Name: "Status", Type: "string"},
	{Name: "Finished", Type: "string"},
	{Name: "Duration", Type: "string"},
	{Name: "Exit codes", Type: "string"},
	{Name: "Logs", Type: "string"},
	{Name: "Complete", Type: "string"},
	{Name: "Reason", Type: "string", Priority: wide},
	{Name: "CronJob", Type: "string", Priority: wide},
	{Name: "Run", Type: "string", Priority: wide},
	{Name: "Missing", Type: "string", Priority: wide},
}

func exitCodes(r *resultsview.Run) string {
	var codes []string
	for _, code := range r.ExitCodes() {
		codes = append(codes, strconv.Itoa(int(code)))
	}
	return orNone(strings.Join(codes, ","))
}

func yesOrNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// orNone returns text on one line, "<none>" if it is empty, as kubectl does.
func orNone(text string) string {
	if text == "" {
		return "<none>"
	}
	return strings.NewReplacer("\n", `\n`, "\t", " ").Replace(text)
}

// plainList returns the objects of runs as one list, as kubectl get would print them.
func plainList(runs []*resultsview.Run) (*unstructured.UnstructuredList, error) {
	objects := &unstructured.UnstructuredList{Object: map[string]any{
		"apiVersion": "v1", "kind": "List", "metadata": map[string]any{"resourceVersion": ""},
	}}
	for _, r := range runs {
		item, err := plain(r)
		if err != nil {
			return nil, err
		}
		objects.Items = append(objects.Items, *item)
	}
	return objects, nil
}

// output returns the writer for objects. Formats that do not escape control characters go
// through a safeWriter. JSON and YAML escape some, and stay exact for programs.
func output(flags *get.PrintFlags, out io.Writer) io.Writer {
	switch *flags.OutputFormat {
	case "json", "yaml", "kyaml":
		if printers.IsTerminal(out) {
			return safeWriter{out}
		}
		return out
	default:
		return safeWriter{out}
	}
}

// plain returns the object of r in the form that printers accept for every kind.
func plain(r *resultsview.Run) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r.Encode())
	if err != nil {
		return nil, fmt.Errorf("converting %s: %w", r.Object, err)
	}
	return &unstructured.Unstructured{Object: content}, nil
}
