package oci

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/base/strict"
)

// MaxConfig is the largest Docker configuration that is read, in bytes.
const MaxConfig = 1 << 20

type dockerAuth struct {
	Auth          string `json:"auth"`
	Username      string `json:"username"`
	Password      string `json:"password"`
	IdentityToken string `json:"identitytoken"`
	RegistryToken string `json:"registrytoken"`
}

// A DockerConfig holds the logins of a Docker configuration file.
type DockerConfig struct {
	Auths       map[string]dockerAuth `json:"auths"`
	CredHelpers map[string]string     `json:"credHelpers"`
	CredsStore  string                `json:"credsStore"`
}

// ReadDockerConfig reads the logins in the file. One that does not exist holds none.
func ReadDockerConfig(path string) (*DockerConfig, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &DockerConfig{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the registry logins: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("read the registry logins: %w", err)
	}
	var c DockerConfig
	if err := strict.LaxJSON(b, MaxConfig, &c); err != nil {
		return nil, fmt.Errorf("read the registry logins in %s: %w", path, err)
	}
	return &c, nil
}

// Credential returns the login for a registry, as [Options.Credentials] wants it. Credential
// helpers are programs that a file names, and none is run: a login that only a helper has is an
// error that says so.
func (c *DockerConfig) Credential(registry string) (Credential, error) {
	if a, ok := c.Auths[registry]; ok && a != (dockerAuth{}) {
		return a.credential(registry)
	}
	for _, name := range aliases(registry) {
		for _, key := range []string{name, "https://" + name, "http://" + name, name + "/v1/", name + "/v2/", "https://" + name + "/v1/", "https://" + name + "/v2/"} {
			if a, ok := c.Auths[key]; ok && a != (dockerAuth{}) {
				return a.credential(registry)
			}
		}
		if h := c.CredHelpers[name]; h != "" {
			return Credential{}, helperError(registry, h)
		}
	}
	if c.CredsStore != "" {
		return Credential{}, helperError(registry, c.CredsStore)
	}
	return Credential{}, nil
}

func helperError(registry, helper string) error {
	return fmt.Errorf("a login for %s, if there is one, is kept by the credential helper %.60q, and helpers are not run: set DOCKER_CONFIG to a folder whose config.json holds the login itself", registry, helper)
}

func aliases(registry string) []string {
	if registry == hubName {
		return []string{hubName, "index.docker.io", hubHost}
	}
	return []string{registry}
}

func (a dockerAuth) credential(registry string) (Credential, error) {
	c := Credential{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken, RegistryToken: a.RegistryToken}
	if a.Auth != "" {
		b, err := base64.StdEncoding.DecodeString(a.Auth)
		user, password, ok := strings.Cut(string(b), ":")
		if err != nil || !ok {
			return Credential{}, fmt.Errorf("the login for %s in the Docker configuration is malformed", registry)
		}
		c.Username, c.Password = user, strings.TrimRight(password, "\x00")
	}
	for _, s := range []string{c.Username, c.Password, c.IdentityToken, c.RegistryToken} {
		if strings.ContainsAny(s, "\r\n") {
			return Credential{}, fmt.Errorf("the login for %s in the Docker configuration is malformed", registry)
		}
	}
	return c, nil
}
