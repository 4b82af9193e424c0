package hook

// Opens says in which cases an agent goes on although no hook has agreed. What can be done about each is in
// docs/hooks.md; that hooks were missing is found at merge, where a run has tool calls and no reports of them.
func Opens(a Agent) []string {
	missing := "the program is missing or cannot be started: the shell's status 127 is no refusal"
	slow := "the hook is stopped by the agent's time limit (Sallyport denies before it)"
	switch a {
	case Claude:
		return []string{missing, slow, "hooks of a project or user file are edited, or switched off by disableAllHooks; a managed file with allowManagedHooksOnly is not"}
	case Codex:
		return []string{missing, slow, "hooks of a project or user file are not trusted by the user; managed ones need no trust"}
	case Gemini:
		return []string{
			"the program is killed by a signal", slow,
			"hooks are switched off by hooksConfig.enabled in a stronger file, or the folder is not trusted",
		}
	case Copilot:
		return []string{"the hook is stopped by the agent's time limit, also one of an administrator (Sallyport denies before it)", "the folder is not trusted, for hooks of the project", "disableAllHooks is set, for hooks of the project or user"}
	case Cursor:
		return []string{"failClosed is taken out of the file, or the version does not know it: then whatever fails is passed", "the contract is taken from the documentation and was not run here"}
	case OpenCode:
		return []string{"the plugin's file is removed, or plugins are switched off: there is no tier that OpenCode enforces", "post-tool reports are lost without a trace where they fail"}
	}
	return nil
}
