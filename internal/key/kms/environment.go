package kms

import (
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/sallyport-dev/sallyport/internal/key"
)

// everyones is what every helper may see: where the user's configuration is, how the network is
// reached, and which certificates are trusted.
var everyones = []string{
	"HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "TZ",
	"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
}

// byScheme is what the vendors' own libraries read. Left out on purpose are the variables that
// switch the verification of TLS off (AWS_TLS_INSECURE_SKIP_VERIFY, VAULT_SKIP_VERIFY): whoever
// can set one could then sit between the key and whoever signs.
var byScheme = map[string][]string{
	"awskms": {
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_SDK_LOAD_CONFIG",
		"AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
		"AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE",
		"AWS_CA_BUNDLE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS", "AWS_ENDPOINT_URL_STS", "AWS_STS_REGIONAL_ENDPOINTS",
		"AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE",
	},
	"gcpkms": {
		"GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_QUOTA_PROJECT", "CLOUDSDK_CONFIG",
		"GCE_METADATA_HOST", "GOOGLE_API_USE_CLIENT_CERTIFICATE", "GOOGLE_API_USE_MTLS_ENDPOINT",
	},
	"azurekms": {
		"AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH",
		"AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "AZURE_ENVIRONMENT",
		"AZURE_CONFIG_DIR", "AZURE_TOKEN_CREDENTIALS", "IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT",
		"IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
	},
	"hashivault": {
		"VAULT_ADDR", "VAULT_TOKEN", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_CACERT_BYTES", "VAULT_CAPATH",
		"VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY", "VAULT_TLS_SERVER_NAME", "VAULT_CLIENT_TIMEOUT", "VAULT_MAX_RETRIES",
		"VAULT_AGENT_ADDR", "VAULT_PROXY_ADDR", "VAULT_HTTP_PROXY", "VAULT_KEY_PREFIX", "TRANSIT_SECRET_ENGINE_PATH",
	},
	"openbao": {
		"BAO_ADDR", "BAO_TOKEN", "BAO_NAMESPACE", "BAO_CACERT", "BAO_CAPATH", "BAO_CLIENT_CERT", "BAO_CLIENT_KEY",
		"BAO_TLS_SERVER_NAME", "VAULT_NAMESPACE", "VAULT_CACERT", "VAULT_CACERT_BYTES", "VAULT_CAPATH", "VAULT_CLIENT_CERT",
		"VAULT_CLIENT_KEY", "VAULT_TLS_SERVER_NAME", "VAULT_CLIENT_TIMEOUT", "VAULT_KEY_PREFIX", "TRANSIT_SECRET_ENGINE_PATH",
	},
	"pkcs11": {
		pinVariable, "COSIGN_PKCS11_MODULE_PATH",
		"SOFTHSM2_CONF", "OPENSC_CONF", "YUBIHSM_PKCS11_CONF", "CS_PKCS11_R3_CFG", "ChrystokiConfigurationPath",
		"CKNFAST_LOADSHARING", "CKNFAST_NO_ACCELERATOR_SLOTS", "NFAST_HOME", "NFAST_SERVER", "KMS_PKCS11_CONFIG", "DBUS_SESSION_BUS_ADDRESS",
	},
}

// Variables returns the names of the variables that the helper for a reference is given. A plugin
// gets those that start with its own name: SOMEHSM_TOKEN for somehsm://.
func Variables(r key.Ref) []string {
	names := append(slices.Clone(everyones), byScheme[r.Scheme]...)
	if r.Kind == key.Plugin {
		prefix := strings.ToUpper(strings.ReplaceAll(r.Scheme, "-", "_")) + "_"
		for _, suffix := range []string{"ADDR", "TOKEN", "CONFIG", "CA_CERT", "CLIENT_CERT", "CLIENT_KEY", "PROFILE"} {
			names = append(names, prefix+suffix)
		}
	}
	return names
}

// secret are those of the variables that give access, and not only tell where.
var secret = []string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_SHARED_CREDENTIALS_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
	"GOOGLE_APPLICATION_CREDENTIALS",
	"AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_CLIENT_CERTIFICATE_PASSWORD", "AZURE_FEDERATED_TOKEN_FILE", "IDENTITY_HEADER", "MSI_SECRET",
	"VAULT_TOKEN", "VAULT_CLIENT_KEY", "BAO_TOKEN", "BAO_CLIENT_KEY", pinVariable,
}

// Secrets returns the names of the variables that give access to the key that a reference names.
// What signs with it keeps them from programs that it starts and does not trust. Files in the
// user's home folder and what a machine's metadata server gives are not covered.
func Secrets(r key.Ref) []string {
	plugin := strings.ToUpper(strings.ReplaceAll(r.Scheme, "-", "_")) + "_"
	return slices.DeleteFunc(Variables(r), func(name string) bool {
		return !slices.Contains(secret, name) && (r.Kind != key.Plugin || !strings.HasPrefix(name, plugin))
	})
}

// loading are variables by which a file is named that is run, or that names another that is: a module is
// a shared library, OpenSC's configuration names drivers, Luna's the library that it loads.
var loading = []string{"COSIGN_PKCS11_MODULE_PATH", "OPENSC_CONF", "ChrystokiConfigurationPath"}

// paths are variables whose value is a path, or several. A relative one would be looked for in a folder
// that is not the caller's.
var paths = []string{
	"HOME", "USERPROFILE", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "AWS_CA_BUNDLE",
	"GOOGLE_APPLICATION_CREDENTIALS", "CLOUDSDK_CONFIG",
	"AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_CONFIG_DIR",
	"VAULT_CACERT", "VAULT_CAPATH", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY", "BAO_CACERT", "BAO_CAPATH", "BAO_CLIENT_CERT", "BAO_CLIENT_KEY",
	"COSIGN_PKCS11_MODULE_PATH", "SOFTHSM2_CONF", "OPENSC_CONF", "YUBIHSM_PKCS11_CONF", "CS_PKCS11_R3_CFG", "ChrystokiConfigurationPath", "NFAST_HOME", "KMS_PKCS11_CONFIG",
}

// environment returns what the helper for r is given.
func environment(r key.Ref, getenv func(string) string) ([]string, error) {
	// Credential helpers that a vendor's configuration names are found here and nowhere that an
	// agent writes. Windows finds what it needs through SYSTEMROOT.
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if runtime.GOOS == "windows" {
		env = []string{"PATH=" + getenv("SYSTEMROOT") + `\system32`}
	}
	for _, name := range Variables(r) {
		v := getenv(name)
		if v == "" {
			continue
		}
		if slices.Contains(paths, name) {
			for _, p := range filepath.SplitList(v) {
				if p != "" && !filepath.IsAbs(p) {
					return nil, fmt.Errorf("%w: %s is the relative path %.200q, and a helper program does not run in this folder: make it absolute", ErrVariable, name, v)
				}
			}
		}
		if slices.Contains(loading, name) {
			// Whoever sets a variable of whoever signs would have their own program run beside the key.
			if why := reachable(v); why != "" {
				return nil, fmt.Errorf("%w: %s names %.200q, which is run or says what is, and %s; a module can be named in the key's URI, ?module-path=/PATH", ErrVariable, name, v, why)
			}
		}
		env = append(env, name+"="+v)
	}
	return env, nil
}
