package scan

// A classRule says which paths have a class. All patterns are in the folded form of fold. A
// path has the class if any of the lists holds it.
type classRule struct {
	class string
	bases []string // names of files, anywhere
	exts  []string // extensions
	dirs  []string // folders, anywhere, each between slashes
	paths []string // last elements of the path, from a slash on; path.Match patterns
	globs []string // path.Match patterns of names
}

// classTable is the whole of what the classes of a path are. Lists err towards protection: a
// file that is classed and need not be costs a look, one that is not classed and should be is a
// hole.
var classTable = []classRule{
	{
		class: ClassBuild,
		bases: []string{
			"makefile", "gnumakefile", "bsdmakefile", "kbuild", "dockerfile", "containerfile",
			".dockerignore", ".containerignore", "build", "build.bazel", "workspace",
			"workspace.bazel", "module.bazel", ".bazelrc", ".bazelversion", "buck", ".buckconfig",
			"pants.toml", "cmakelists.txt", "cmakepresets.json", "meson.build", "meson_options.txt",
			"meson.options", "configure", "configure.ac", "configure.in", "makefile.am",
			"makefile.in", "sconstruct", "sconscript", "wscript", "build.gradle",
			"build.gradle.kts", "settings.gradle", "settings.gradle.kts", "gradle.properties",
			"gradlew", "gradlew.bat", "gradle-wrapper.properties", "gradle-wrapper.jar", "mvnw",
			"mvnw.cmd", "maven-wrapper.properties", "pom.xml", "build.xml", "build.sbt",
			"build.sc", "build.mill", "build.properties", "package.json", ".npmrc", ".yarnrc",
			".yarnrc.yml", ".pnpmfile.cjs", "lerna.json", "nx.json", "turbo.json", "rush.json",
			"babel.config.js", ".babelrc", "gulpfile.js", "gruntfile.js", "rakefile",
			"setup.py", "setup.cfg", "pyproject.toml", "manifest.in", "tox.ini", "noxfile.py",
			"tasks.py", "conftest.py", "sitecustomize.py", "usercustomize.py", "hatch_build.py",
			"build.rs", "cargo.toml", "rust-toolchain", "rust-toolchain.toml", "build.zig",
			"build.zig.zon", "magefile.go", "taskfile.yml", "taskfile.yaml", "justfile", ".justfile",
			"earthfile", "tiltfile", "skaffold.yaml", "ko.yaml", ".ko.yaml", "melange.yaml", "apko.yaml",
			"docker-bake.hcl", "docker-bake.json", "docker-bake.override.hcl", "flake.nix", "default.nix", "shell.nix",
			"guix.scm", "manifest.scm", "pkgbuild", "apkbuild", "snapcraft.yaml", "rules", "dune-project",
			"dune", "stack.yaml", "setup.hs", "cabal.project", "mix.exs", "rebar.config", "project.clj",
			"deps.edn", "build.clj", "package.swift", "podfile", "fastfile", "appfile",
			"directory.build.props", "directory.build.targets", "directory.packages.props",
			"nuget.config", "global.json", "build.cake", "build.fsx", "build.ps1", "build.sh", "go.work",
			".gitattributes", ".gitmodules", ".lfsconfig", ".envrc", ".tool-versions", "mise.toml", ".mise.toml",
			".nvmrc", ".node-version", ".python-version", "pip.conf", "pip.ini", "uv.toml", "poetry.toml",
		},
		exts: []string{
			".mk", ".mak", ".bzl", ".bazel", ".star", ".cmake", ".gradle", ".gyp", ".gypi", ".gn", ".gni", ".sbt",
			".gemspec", ".podspec", ".nix", ".ninja", ".csproj", ".fsproj", ".vbproj", ".vcxproj", ".proj", ".props",
			".targets", ".sln", ".slnx", ".nuspec", ".pbxproj", ".xcconfig", ".cabal", ".spec", ".rockspec", ".ebuild",
			".earth", ".dockerfile", ".pth",
		},
		dirs: []string{"/.cargo/", "/buildsrc/", "/build-logic/", "/.mvn/", "/.yarn/", "/debian/", "/.devcontainer/", "/.idea/runconfigurations/"},
		globs: []string{
			"dockerfile.*", "dockerfile-*", "*.dockerfile", "containerfile.*", "makefile.*", "gnumakefile.*",
			".goreleaser.*", "goreleaser.*", "webpack.*.js", "webpack.*.ts", "webpack.*.cjs", "webpack.*.mjs",
			"vite.config.*", "rollup.config.*", "esbuild.*", "tsup.config.*", "next.config.*", "nuxt.config.*", "metro.config.*",
			"babel.config.*", "postcss.config.*", "tailwind.config.*", "jest.config.*", "vitest.config.*", "playwright.config.*", "karma.conf.*",
			"svelte.config.*", "astro.config.*", "eslint.config.*", ".eslintrc*", ".prettierrc*", "tsconfig*.json", "cypress.config.*",
			"release.config.*", "gulpfile.*", "gruntfile.*", "requirements*.txt", "*.tool-versions",
		},
	},
	{
		class: ClassDeploy,
		bases: []string{
			"chart.yaml", "chart.yml", "helmfile.yaml", "helmfile.yml", "helmfile.yaml.gotmpl", "helmfile.lock", "kustomization.yaml",
			"kustomization.yml", "kustomization", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml",
			"serverless.yml", "serverless.yaml", "serverless.ts", "serverless.json", "serverless.js", "procfile", "app.json", "app.yaml", "app.yml", "fly.toml",
			"vercel.json", "netlify.toml", "wrangler.toml", "wrangler.json", "wrangler.jsonc", "render.yaml", "railway.json", "railway.toml", "now.json",
			"firebase.json", ".firebaserc", "amplify.yml", "appspec.yml", "appspec.yaml", "dockerrun.aws.json", "samconfig.toml",
			"template.yaml", "template.yml", "cdk.json", "pulumi.yaml", "pulumi.yml", "terragrunt.hcl", "ansible.cfg", "playbook.yml", "playbook.yaml",
			"site.yml", "inventory", "inventory.ini", "hosts.ini", "vagrantfile", "nomad.hcl", "crontab", "skaffold.yaml", "tiltfile", "capfile",
			"deploy.rb", "deploy.sh", "deploy.ps1", "manifest.yml", "cloudbuild.yaml", "nginx.conf", "haproxy.cfg", "caddyfile", "envoy.yaml",
			"supervisord.conf", "ecosystem.config.js", "ecosystem.config.cjs", "dokku-scale", "captain-definition", "devspace.yaml", "okteto.yml", "garden.yml",
			"argocd-cm.yaml", "flux-system.yaml", "catalog-info.yaml",
		},
		exts: []string{
			".tf", ".tfvars", ".tofu", ".nomad", ".bicep", ".bicepparam", ".service", ".timer", ".socket", ".container", ".kube", ".quadlet", ".jsonnet", ".libsonnet",
		},
		dirs: []string{
			"/deploy/", "/deploys/", "/deployment/", "/deployments/", "/k8s/", "/kubernetes/", "/kube/", "/manifests/", "/helm/", "/charts/",
			"/infra/", "/infrastructure/", "/ansible/", "/.ebextensions/", "/.platform/", "/kustomize/", "/argocd/", "/argo/",
			"/flux/", "/gitops/", "/clusters/", "/systemd/", "/cloudformation/", "/pulumi/", "/nomad/", "/openshift/", "/.aws/", "/.do/", "/playbooks/",
		},
		paths: []string{"/roles/*/tasks/*.yml", "/roles/*/tasks/*.yaml", "/roles/*/handlers/*.yml", "/group_vars/*", "/host_vars/*", "/templates/*.tpl"},
		globs: []string{
			"docker-compose.*.yml", "docker-compose.*.yaml", "docker-compose-*.yml", "docker-compose-*.yaml", "compose.*.yml", "compose.*.yaml",
			"*.tf.json", "*.tfvars.json", "values.yaml", "values.yml", "values-*.yaml", "values-*.yml", "values.*.yaml", "pulumi.*.yaml", "procfile.*", "app.*.yaml", "*.pkr.hcl", "*.nomad.hcl",
		},
	},
	{
		class: ClassCI,
		bases: []string{
			"jenkinsfile", ".gitlab-ci.yml", ".gitlab-ci.yaml", ".travis.yml", ".drone.yml", ".drone.yaml", ".drone.star", ".drone.jsonnet", "azure-pipelines.yml",
			"azure-pipelines.yaml", "bitbucket-pipelines.yml", "bitbucket-pipelines.yaml", "appveyor.yml", ".appveyor.yml", "cloudbuild.yaml",
			"cloudbuild.yml", "cloudbuild.json", "buildspec.yml", "buildspec.yaml", ".cirrus.yml", ".cirrus.star", "codemagic.yaml", "bitrise.yml", "wercker.yml", ".semaphoreci", "shippable.yml",
			".pre-commit-config.yaml", ".pre-commit-config.yml", ".pre-commit-hooks.yaml", "lefthook.yml", "lefthook.yaml", ".lefthook.yml", ".lefthook.yaml",
			"lefthook.toml", "lefthook.json", "lefthook-local.yml", ".overcommit.yml", ".huskyrc", ".huskyrc.json", ".huskyrc.js", ".lintstagedrc", ".lintstagedrc.json", "lint-staged.config.js", "dangerfile", "dangerfile.js", "dangerfile.ts",
			"renovate.json", "renovate.json5", ".renovaterc", ".renovaterc.json", "dependabot.yml", "dependabot.yaml", ".mergify.yml", ".bulldozer.yml", ".kodiak.toml",
			"codecov.yml", ".codecov.yml", "sonar-project.properties", ".prow.yaml", "tekton.yaml", "concourse.yml", ".readthedocs.yaml", ".readthedocs.yml", "bors.toml",
		},
		dirs: []string{
			"/.github/workflows/", "/.github/actions/", "/.gitlab/", "/.gitlab-ci/", "/.circleci/", "/.buildkite/", "/.husky/", "/.githooks/", "/githooks/", "/.git-hooks/", "/.lefthook/",
			"/.jenkins/", "/jenkins/", "/.azure-pipelines/", "/.azuredevops/", "/.woodpecker/", "/.teamcity/", "/.tekton/", "/.ci/", "/ci/", "/.drone/", "/.semaphore/", "/.forgejo/", "/.gitea/", "/.harness/", "/concourse/", "/.zuul.d/",
		},
		paths: []string{"/action.yml", "/action.yaml"},
		globs: []string{"jenkinsfile.*", "*.jenkinsfile", "*.gitlab-ci.yml", "azure-pipelines*.yml", "azure-pipelines*.yaml", ".woodpecker.*", ".zuul.*"},
	},
	{
		class: ClassDependency,
		bases: []string{
			"go.mod", "go.work", "package.json", "bower.json", "deno.json", "deno.jsonc", "jsr.json", "import_map.json", "pyproject.toml", "setup.py", "setup.cfg", "pipfile", "environment.yml",
			"environment.yaml", "constraints.txt", "cargo.toml", "gemfile", "gems.rb", "composer.json", "pom.xml", "build.gradle", "build.gradle.kts",
			"libs.versions.toml", "build.sbt", "ivy.xml", "mix.exs", "rebar.config", "pubspec.yaml", "package.swift", "podfile", "cartfile", "packages.config",
			"directory.packages.props", "paket.dependencies", "conanfile.txt", "conanfile.py", "vcpkg.json", "project.clj", "deps.edn", "stack.yaml", "cpanfile",
			"elm.json", "shard.yml", "brewfile", "apt.txt", "chart.yaml", "module.bazel", "workspace", "workspace.bazel", ".gitmodules", "flake.nix", "nimble", "julia.toml",
			"project.toml", "requirements.yml", "requirements.yaml", "pixi.toml", "dub.json", "dub.sdl", "rockspec", "build.zig.zon", "opam", "typings.json", "pnpm-workspace.yaml", "renv.lock", "description",
		},
		exts:  []string{".csproj", ".fsproj", ".vbproj", ".gemspec", ".podspec", ".nuspec", ".cabal", ".opam", ".nimble", ".rockspec"},
		globs: []string{"requirements*.txt", "requirements*.in", "*-requirements.txt", "*.requirements.txt"},
		paths: []string{"/requirements/*.txt", "/requirements/*.in", "/vendor/modules.txt"},
	},
	{
		class: ClassLockfile,
		bases: []string{
			"go.sum", "go.work.sum", "package-lock.json", "npm-shrinkwrap.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb", "deno.lock", "poetry.lock",
			"pdm.lock", "uv.lock", "pylock.toml", "pipfile.lock", "conda-lock.yml", "cargo.lock", "gemfile.lock", "gems.locked", "composer.lock", "gradle.lockfile", "buildscript-gradle.lockfile",
			"verification-metadata.xml", "mix.lock", "rebar.lock", "pubspec.lock", "package.resolved", "podfile.lock", "cartfile.resolved", "packages.lock.json",
			"paket.lock", "conan.lock", "stack.yaml.lock", "cabal.project.freeze", "chart.lock", "helmfile.lock", "flake.lock", ".terraform.lock.hcl", "module.bazel.lock", "maven_install.json",
			"manifest.toml", "shard.lock", "pixi.lock", "renv.lock", "dub.selections.json", "elm-stuff.json", "npins.json", "kotlin-js-store.lock", "vendor.lock",
		},
		globs: []string{"*.lock.json", "pylock.*.toml", "*.lockfile"},
	},
	{
		class: ClassAgentConfig,
		bases: []string{
			"agents.md", "agent.md", "agents.override.md", "claude.md", "claude.local.md", "gemini.md", "codex.md", "qwen.md", "crush.md", "warp.md", "copilot.md", "grok.md", "jules.md", "amp.md", "iflow.md", "replit.md", "conventions.md", "augment-guidelines.md", "skill.md", "llms.txt", "llms-full.txt",
			".mcp.json", "mcp.json", "mcp.jsonc", "mcp_config.json", "mcp_settings.json", "cline_mcp_settings.json", "opencode.json", "opencode.jsonc", "crush.json", ".crush.json",
			".cursorrules", ".cursorignore", ".cursorindexingignore", ".windsurfrules", ".clinerules", ".roorules", ".roomodes", ".goosehints", ".goosefile", ".rules", ".aiexclude", ".aiignore", ".claudeignore", ".geminiignore", ".codeiumignore", ".copilotignore", ".continuerules", ".continuerc.json", ".rooignore", ".clineignore", ".augmentignore", ".augment-guidelines", ".ai-rules",
			"copilot-instructions.md", "copilot-setup-steps.yml", "copilot-setup-steps.yaml", "devin.md", ".devin", ".sweep.yaml", "sweep.yaml", ".coderabbit.yaml", ".coderabbit.yml", "greptile.json", "ai_rules.md", "rules.mdc", "system_prompt.md", "system-prompt.md", "system_prompt.txt",
		},
		exts: []string{".mdc"},
		dirs: []string{
			"/.claude/", "/.claude-plugin/", "/.cursor/", "/.codex/", "/.gemini/", "/.copilot/", "/.github/hooks/", "/.github/instructions/", "/.github/prompts/", "/.github/chatmodes/", "/.github/agents/", "/.github/skills/",
			"/.windsurf/", "/.windsurfrules/", "/.clinerules/", "/.cline/", "/.roo/", "/.continue/", "/.opencode/", "/.kiro/", "/.junie/", "/.augment/", "/.aider/", "/.amazonq/", "/.qwen/", "/.trae/", "/.agents/", "/.agent/", "/.goose/", "/.devin/", "/.openhands/", "/.factory/", "/.crush/", "/.zencoder/", "/.kilocode/", "/.kilo/", "/.firebender/", "/.amp/", "/.warp/", "/.idx/", "/.tabnine/", "/.codeium/", "/.cody/", "/.sourcegraph/", "/.jules/", "/.antigravity/", "/.llm/", "/.ai/", "/.ruler/", "/.rules/", "/.mcp/", "/.iflow/", "/.grok/", "/.pi/", "/.vibe/",
			"/skills/", "/.aiassistant/",
		},
		paths: []string{"/.vscode/tasks.json", "/.vscode/settings.json", "/.vscode/mcp.json", "/.vscode/launch.json", "/.vscode/extensions.json", "/.zed/settings.json", "/.zed/tasks.json", "/.github/copilot*", "/.idea/*mcp*", "/.github/workflows/copilot-setup-steps.*"},
		globs: []string{
			".aider*", ".windsurf*", ".cursorrules*", ".clinerules*", ".roorules*", "*.instructions.md", "*.prompt.md", "*.chatmode.md", "*.agent.md", "claude.*.md", "agents.*.md", "*.code-workspace", ".mcp.*.json", "*.mcp.json",
		},
	},
	{
		class: ClassPolicy,
		bases: []string{"codeowners", ".gitattributes", ".mailmap", ".gittuf", "allowed_signers", ".allowed_signers", ".sallyport.yaml", ".policy.yml", "owners", "owners_aliases", "security-insights.yml"},
		dirs:  []string{"/.sallyport/", "/.gittuf/", "/.github/rulesets/"},
		paths: []string{"/.github/settings.yml", "/.github/settings.yaml", "/.gitlab/merge_request_approvals.yml"},
		exts:  []string{".rego"},
	},
	{
		class: ClassBinary,
		exts: []string{
			".exe", ".dll", ".so", ".dylib", ".a", ".o", ".obj", ".lib", ".class", ".jar", ".war", ".ear", ".pyc", ".pyd", ".wasm", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz",
			".zst", ".7z", ".rar", ".whl", ".gem", ".nupkg", ".deb", ".rpm", ".apk", ".ipa", ".dmg", ".iso", ".img", ".bin", ".dat", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".ico",
			".webp", ".bmp", ".tiff", ".woff", ".woff2", ".ttf", ".otf", ".eot", ".mp3", ".mp4", ".mov", ".avi", ".ogg", ".flac", ".wav", ".p12", ".pfx", ".jks", ".keystore",
			".node", ".ko", ".sqlite", ".db", ".parquet", ".onnx", ".pt", ".pth", ".pkl", ".pickle", ".safetensors", ".gguf", ".h5", ".npy", ".npz",
		},
	},
	{
		class: ClassGenerated,
		dirs:  []string{"/node_modules/", "/bower_components/", "/__generated__/", "/generated/"},
		globs: []string{"*.min.js", "*.min.css", "*.pb.go", "*_pb2.py", "*_pb2_grpc.py", "*.pb.cc", "*.pb.h", "*.g.dart", "*.generated.*", "zz_generated.*", "*.designer.cs", "*.map"},
	},
}
