package supervisor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// Client speaks to the supervisor behind a unix socket.
type Client struct {
	http *http.Client
}

// NewClient returns a client of the supervisor at a socket; nothing is
// connected until the first call.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	return &Client{http: &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

// Close drops idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Start starts a process; it is an error if one of that name runs.
func (c *Client) Start(ctx context.Context, process Process) error {
	return c.call(ctx, http.MethodPost, pathProcesses, process, nil)
}

// Again starts an ended process with the arguments that it had.
func (c *Client) Again(ctx context.Context, name string) error {
	return c.call(ctx, http.MethodPost, pathAgain+"?name="+url.QueryEscape(name), nil, nil)
}

// Run starts a process and waits for its end, which is an error unless its
// exit code was 0.
func (c *Client) Run(ctx context.Context, process Process) error {
	if err := c.Start(ctx, process); err != nil {
		return err
	}
	status, err := c.Wait(ctx, process.Name)
	if err != nil {
		return err
	}
	if !status.Success {
		return errors.New(status.Exit)
	}
	return nil
}

// List returns every process that was started, sorted by name.
func (c *Client) List(ctx context.Context) ([]Status, error) {
	var all []Status
	err := c.call(ctx, http.MethodGet, pathProcesses, nil, &all)
	return all, err
}

// Signal sends a signal; to a process that ended it does nothing.
func (c *Client) Signal(ctx context.Context, name string, sig syscall.Signal) error {
	return c.call(ctx, http.MethodPost, pathSignal, signalRequest{Name: name, Signal: sig}, nil)
}

// End sends a signal that ends a process and returns when it has ended. It is
// not restarted then.
func (c *Client) End(ctx context.Context, name string, sig syscall.Signal) error {
	request := signalRequest{Name: name, Signal: sig, Final: true}
	if err := c.call(ctx, http.MethodPost, pathSignal, request, nil); err != nil {
		return err
	}
	// A paused process takes most signals only when it goes on.
	if err := c.Signal(ctx, name, syscall.SIGCONT); err != nil {
		return err
	}
	_, err := c.Wait(ctx, name)
	return err
}

// Wait returns when the process has ended.
func (c *Client) Wait(ctx context.Context, name string) (Status, error) {
	var status Status
	err := c.call(ctx, http.MethodGet, pathWait+"?name="+url.QueryEscape(name), nil, &status)
	return status, err
}

// Detach lets the supervisor live on when its owner ends.
func (c *Client) Detach(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, pathDetach, nil, nil)
}

// Shutdown asks the supervisor to end everything and itself; it returns
// before that has happened.
func (c *Client) Shutdown(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, pathShutdown, nil, nil)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://supervisor"+path, body)
	if err != nil {
		return err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("asking the supervisor: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
		return errors.New(strings.TrimSpace(string(text)))
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(out)
}
