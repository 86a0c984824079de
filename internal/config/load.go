package config

import (
	"fmt"
	"io"
	"os"
)

// maxFileBytes bounds the file, and once more what its variables expand to.
// Real files have a few KiB.
const maxFileBytes = 1 << 20

// Load reads the configuration (Defaults, the file, the GATEWAY_* variables of environ,
// "NAME=value") and validates it. Path "" means no file. If the configuration is wrong,
// the error is [Errors], with everything that is wrong; if the file cannot be read, it
// is the error of reading it.
//
// Flags come after: apply each with [Config.Set], then call [Config.Validate].
func Load(path string, environ []string) (*Config, error) {
	cfg, err := Examine(path, environ)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

// Examine is Load for a report: beside [Errors] it returns what could be read, with the
// default where a value is wrong. The Config is nil if the file could not be read.
func Examine(path string, environ []string) (*Config, error) {
	var data []byte
	if path != "" {
		var err error
		if data, err = readFile(path); err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
	}
	cfg, err := examine(path, data, environ)
	if cfg != nil {
		cfg.File = path
	}
	return cfg, err
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read from
	data, err := io.ReadAll(io.LimitReader(file, maxFileBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than %s", path, Size(maxFileBytes))
	}
	return data, nil
}

// load is Load for a file that was read already; name is "" without one.
func load(name string, data []byte, environ []string) (*Config, error) {
	cfg, err := examine(name, data, environ)
	if err != nil {
		return nil, err
	}
	return cfg, nil
}

func examine(name string, data []byte, environ []string) (*Config, error) {
	cfg, env, errs := Defaults(), environment(environ), &collector{}
	sound := true
	if name != "" {
		d := decoder{file: name, env: env, cfg: cfg, errs: errs, budget: maxFileBytes}
		sound = d.decode(data)
	}
	override(cfg, env, errs)
	if !sound {
		return nil, errs.err()
	}
	cfg.validate(errs)
	return cfg, errs.err()
}

// Set sets the key at path, "http.listen" for example, to a value written as in a
// GATEWAY_* variable. Errors name source, "--listen" for example.
func (c *Config) Set(path, source, text string) error {
	for _, l := range leaves() {
		if l.path == path && l.env != "" {
			errs := &collector{}
			c.set(l, source, text, errs)
			return errs.err()
		}
	}
	return fmt.Errorf("set %s: no such key", path)
}
