package workflow

import "github.com/sallyport-dev/sallyport"

// A Rule is one thing that Scan looks for.
type Rule struct {
	ID       string
	Title    string
	Why      string
	Severity sallyport.Severity // the gravest that it gives
	Labels   []string           // OWASP ASI, MITRE ATLAS, SLSA
	Incident string             // what happened because of it
}

// Rules lists every rule, gravest first within what it is about.
var Rules = []Rule{
	{
		"script-injection", "A stranger's text is no part of a script",
		"An expression is pasted into the script before a shell sees it, so that a title such as $(…) is run. Text that goes through env and stands in quotation marks stays text.",
		sallyport.High, []string{"ASI05", "ASI01", "AML.T0051.001"}, "Nx s1ngularity; Shai-Hulud 2",
	},
	{
		"prompt-injection", "A stranger's text is no part of an agent's prompt",
		"A model cannot tell instructions from data. Whoever writes an issue's title instructs an agent that is shown it, with the job's token and secrets.",
		sallyport.High, []string{"ASI01", "AML.T0051.001", "AML.T0093"}, "PromptPwnd; Comment and Control; Clinejection",
	},
	{
		"unquoted-text", "A stranger's text stands in quotation marks",
		"The shell splits what is bare into words, options and file names.",
		sallyport.Medium, []string{"ASI05"}, "",
	},
	{
		"env-injection", "A stranger's text does not reach GITHUB_ENV or GITHUB_PATH",
		"A line break in the text ends one variable and starts another, and some variables name programs that later steps run.",
		sallyport.High, []string{"ASI05", "AML.T0051.001"}, "",
	},
	{
		"pwn-request", "A run with the repository's rights does not fetch a stranger's files",
		"pull_request_target, workflow_run and comment events hold the repository's own token, secrets and cache. Whatever is checked out from the pull request's head, a build file or an agent's rules, runs with them.",
		sallyport.Critical, []string{"ASI03", "ASI05", "SLSA Build L2"}, "Nx s1ngularity; hackerbot-claw; Mini Shai-Hulud",
	},
	{
		"privileged-trigger", "Strangers start runs with rights only where that is meant",
		"These events run the default branch's definition with its secrets, whoever caused them.",
		sallyport.Medium, []string{"ASI03"}, "Nx s1ngularity",
	},
	{
		"unpinned-action", "Actions and called workflows are named by full commits",
		"A tag moves. In two incidents nearly every tag of a popular action was moved to code that read the runner's memory.",
		sallyport.High, []string{"ASI04", "SLSA Build L3"}, "tj-actions; hackerbot-claw, Trivy and LiteLLM",
	},
	{
		"unpinned-image", "Images are named by digests",
		"A tag moves.",
		sallyport.Medium, []string{"ASI04", "SLSA Build L3"}, "",
	},
	{
		"unpinned-include", "Included pipelines are named by commits or digests",
		"The far end chooses what runs here.",
		sallyport.High, []string{"ASI04", "SLSA Build L3"}, "",
	},
	{
		"permissions-all", "No run asks for every permission",
		"A token with all permissions makes every other mistake a takeover.",
		sallyport.High, []string{"ASI03"}, "Shai-Hulud",
	},
	{
		"permissions-untrusted", "What strangers start may not write code, packages or identities",
		"The run acts on a stranger's text or files; with contents: write or id-token: write it acts as the project.",
		sallyport.High, []string{"ASI03", "SLSA Build L2"}, "Amazon Q; Mini Shai-Hulud",
	},
	{
		"permissions-default", "A job says which permissions it has",
		"Without a word a job holds what a setting outside the repository gives, which may be everything, and may change.",
		sallyport.High, []string{"ASI03"}, "Amazon Q",
	},
	{
		"permissions-granted", "A new permission is seen",
		"It is told so that a reviewer knows.",
		sallyport.Medium, []string{"ASI03"}, "",
	},
	{
		"agent-anyone", "Not anyone instructs an agent",
		"Agents' actions ask whether the caller may write here. Switching that off hands the agent, with its tools and token, to everyone who can open an issue.",
		sallyport.Critical, []string{"ASI01", "ASI02", "ASI03"}, "Clinejection",
	},
	{
		"agent-unguarded", "Agents ask before they act",
		"The flags and settings that switch off an agent's questions are what malicious packages start agents with to search a machine, and what turns an injected sentence into a command.",
		sallyport.High, []string{"ASI02", "AML.T0103", "AML.T0081"}, "Amazon Q; Nx s1ngularity",
	},
	{
		"agent-secrets", "An agent holds its model's key and no other secret",
		"What an agent holds, text that it reads can make it send away.",
		sallyport.High, []string{"ASI03", "AML.T0055", "AML.T0086"}, "Comment and Control",
	},
	{
		"agent-untrusted", "Agents that strangers can call are known",
		"It is told so that a reviewer looks at who may call the agent and what it may do.",
		sallyport.Medium, []string{"ASI01"}, "PromptPwnd",
	},
	{
		"secrets-inherited", "A called workflow is given the secrets that it needs",
		"secrets: inherit hands over all of them, those included that somebody adds later.",
		sallyport.High, []string{"ASI03", "AML.T0055"}, "",
	},
	{
		"secrets-dump", "The secrets are never one text",
		"toJSON(secrets) has one use: to send all of them away at once.",
		sallyport.Critical, []string{"ASI03", "AML.T0055"}, "Shai-Hulud",
	},
	{
		"release-cache", "A release restores no cache that others can fill",
		"A cache is an input that no lock file names. A run of a stranger's pull request on the default branch's cache left there what the next release took out, built and signed.",
		sallyport.High, []string{"ASI04", "ASI08", "SLSA Build L3"}, "Clinejection; Mini Shai-Hulud",
	},
	{
		"untrusted-cache", "What strangers start does not write the default branch's cache",
		"It is the other end of the same rope.",
		sallyport.High, []string{"ASI04", "ASI08", "SLSA Build L3"}, "Clinejection; Mini Shai-Hulud",
	},
	{
		"publish-regardless", "Nothing is published by a run that failed",
		"84 malicious versions came with valid provenance from runs that had failed.",
		sallyport.High, []string{"ASI04", "SLSA Build L2"}, "Mini Shai-Hulud",
	},
	{
		"self-hosted-fork", "A stranger's code does not run on your own machines",
		"What it leaves there meets the next job.",
		sallyport.High, []string{"ASI05", "ASI03"}, "Shai-Hulud 2",
	},
	{
		"piped-download", "What is downloaded is looked at before it runs",
		"Whoever holds the far end, or the name it is reached by, chooses what runs.",
		sallyport.Medium, []string{"ASI04"}, "",
	},
	{
		"unsecure-commands", "What a step prints sets no variables",
		"The forge switched this off for a reason.",
		sallyport.High, []string{"ASI05"}, "",
	},
	{
		"debug-trace", "Secrets are not written to logs",
		"A debug trace holds every variable.",
		sallyport.High, []string{"ASI03", "AML.T0055"}, "",
	},
}
