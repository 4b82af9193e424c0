// Package profile holds what is known about agents that are run: how each is recognised, how it tells
// its version, which variables send its requests to another address, which file it has to find so that
// it asks nobody else, and which of the operator's variables hold the credential that the prompt gate
// puts in.
//
// It is data. In values and files, $GATEWAY stands for the gateway's address without a slash at its end,
// $TOKEN for what the run shows there, and $HOME for the run's own home folder. An agent that is not
// known runs as well: it gets the proxy variables alone, which every run has.
package profile

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// A Profile is what is known about one agent.
type Profile struct {
	// Name is the agent's, as `sallyport agent detect` prints it.
	Name string
	// Programs are the names of its executable.
	Programs []string
	// Packages are parts of the path of a script of it that node, bun or deno runs.
	Packages []string
	// Version are the arguments that make it print its version.
	Version []string
	// Set are variables that it is given.
	Set []Variable
	// Model is the variable that names its model, set where the operator names one.
	Model string
	// Pass are further variables of the operator's that reach it: names, or beginnings with an asterisk.
	Pass []string
	// Credentials are the operator's variables that hold its vendor's credential. None of them reaches
	// it: the gate puts the first that is set into what it forwards.
	Credentials []string
	// Files are what it has to find, below the run's home folder.
	Files []File
}

// A Variable is one of the environment.
type Variable struct{ Name, Value string }

// A File is one that is generated.
type File struct {
	Path    string // below the home folder
	Content string
	Model   string // goes before the content where the operator names a model
}

// all is ordered by name.
var all = []Profile{
	{
		Name: "claude-code", Programs: []string{"claude"}, Packages: []string{"/@anthropic-ai/claude-code/"}, Version: []string{"--version"},
		Set: []Variable{
			{"ANTHROPIC_BASE_URL", "$GATEWAY"},
			{"ANTHROPIC_API_KEY", "$TOKEN"},
			{"CLAUDE_CONFIG_DIR", "$HOME/.claude"},
			// Without it the client asks hosts beside its model's.
			{"CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"},
		},
		Model:       "ANTHROPIC_MODEL",
		Pass:        []string{"ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_*", "CLAUDE_CODE_MAX_OUTPUT_TOKENS", "CLAUDE_CODE_EFFORT_LEVEL", "MAX_THINKING_TOKENS"},
		Credentials: []string{"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"},
	},
	{
		Name: "codex-cli", Programs: []string{"codex"}, Packages: []string{"/@openai/codex/"}, Version: []string{"--version"},
		Set: []Variable{
			// Codex refuses its helper programs where this lies under the folder for temporary files.
			{"CODEX_HOME", "$HOME/.codex"},
			{"OPENAI_API_KEY", "$TOKEN"},
			{"OPENAI_BASE_URL", "$GATEWAY/v1"},
		},
		Credentials: []string{"OPENAI_API_KEY", "CODEX_API_KEY"},
		Files: []File{{Path: ".codex/config.toml", Model: "model = \"$MODEL\"\n", Content: `model_provider = "sallyport"

[model_providers.sallyport]
name = "Sallyport"
base_url = "$GATEWAY/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"

[analytics]
enabled = false

[otel]
exporter = "none"
`}},
	},
	{
		Name: "copilot-cli", Programs: []string{"copilot"}, Packages: []string{"/@github/copilot/"}, Version: []string{"--version"},
		Set: []Variable{
			{"COPILOT_OFFLINE", "true"},
			{"COPILOT_PROVIDER_BASE_URL", "$GATEWAY/v1"},
			{"COPILOT_PROVIDER_TYPE", "openai"},
			{"COPILOT_PROVIDER_WIRE_API", "completions"},
			{"COPILOT_PROVIDER_API_KEY", "$TOKEN"},
		},
		Model: "COPILOT_MODEL", Pass: []string{"COPILOT_MODEL"},
		Credentials: []string{"COPILOT_PROVIDER_API_KEY", "OPENAI_API_KEY"},
	},
	{
		Name: "gemini-cli", Programs: []string{"gemini"}, Packages: []string{"/@google/gemini-cli/"}, Version: []string{"--version"},
		Set: []Variable{
			{"GOOGLE_GEMINI_BASE_URL", "$GATEWAY"},
			{"GEMINI_API_KEY", "$TOKEN"},
		},
		Model: "GEMINI_MODEL", Pass: []string{"GEMINI_MODEL"},
		Credentials: []string{"GEMINI_API_KEY", "GOOGLE_API_KEY"},
		Files: []File{{Path: ".gemini/settings.json", Content: `{
  "security": {"auth": {"selectedType": "gemini-api-key"}},
  "privacy": {"usageStatisticsEnabled": false},
  "telemetry": {"enabled": false},
  "general": {"disableAutoUpdate": true, "disableUpdateNag": true}
}
`}},
	},
	{
		Name: "opencode", Programs: []string{"opencode"}, Packages: []string{"/opencode-ai/"}, Version: []string{"--version"},
		Set: []Variable{
			{"OPENCODE_CONFIG", "$HOME/.config/opencode/opencode.json"},
			{"OPENCODE_DISABLE_AUTOUPDATE", "1"},
			{"OPENCODE_DISABLE_MODELS_FETCH", "1"},
		},
		Credentials: []string{"OPENAI_API_KEY"},
		Files: []File{{Path: ".config/opencode/opencode.json", Content: `{
  "$schema": "https://opencode.ai/config.json",
  "autoupdate": false,
  "share": "disabled",
  "model": "sallyport/$MODEL",
  "provider": {
    "sallyport": {
      "npm": "@ai-sdk/openai-compatible",
      "name": "Sallyport",
      "options": {"baseURL": "$GATEWAY/v1", "apiKey": "$TOKEN"},
      "models": {"$MODEL": {}}
    }
  }
}
`}},
	},
}

// Names returns the names of the agents that are known.
func Names() []string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return names
}

// Named returns the profile of an agent, or one that knows nothing but the name.
func Named(name string) Profile {
	for _, p := range all {
		if p.Name == name {
			return p
		}
	}
	return Profile{Name: name}
}

// Recognise returns the profile of the agent that a command starts. The name is a convenience: who starts
// a run can call any program what they like, and says which agent it is.
func Recognise(args []string) (Profile, bool) {
	if len(args) == 0 {
		return Profile{}, false
	}
	program := strings.TrimSuffix(path.Base(strings.ReplaceAll(args[0], "\\", "/")), ".exe")
	for _, p := range all {
		if slices.Contains(p.Programs, program) {
			return p, true
		}
	}
	if !slices.Contains([]string{"node", "bun", "deno"}, program) {
		return Profile{}, false
	}
	for _, a := range args[1:] {
		if strings.HasPrefix(a, "-") {
			continue
		}
		for _, p := range all {
			if slices.ContainsFunc(p.Packages, func(part string) bool { return strings.Contains(a, part) }) {
				return p, true
			}
		}
		return Profile{}, false // the first word is the script
	}
	return Profile{}, false
}

// NoModel stands for the model where the operator names none and a file has to name one.
const NoModel = "default"

// A Fill is what stands for the placeholders. Model may be empty.
type Fill struct{ Gateway, Token, Home, Model string }

func (f Fill) replacer() *strings.Replacer {
	return strings.NewReplacer("$GATEWAY", f.Gateway, "$TOKEN", f.Token, "$HOME", f.Home, "$MODEL", cmp.Or(f.Model, NoModel))
}

// Environ returns the variables of p as an environment has them.
func (p Profile) Environ(f Fill) []string {
	r := f.replacer()
	var out []string
	for _, v := range p.Set {
		out = append(out, v.Name+"="+r.Replace(v.Value))
	}
	if p.Model != "" && f.Model != "" {
		out = append(out, p.Model+"="+f.Model)
	}
	return out
}

// Generate returns the files of p by path.
func (p Profile) Generate(f Fill) map[string]string {
	r := f.replacer()
	out := map[string]string{}
	for _, file := range p.Files {
		content := file.Content
		if f.Model != "" {
			content = file.Model + content
		}
		out[file.Path] = r.Replace(content)
	}
	return out
}
