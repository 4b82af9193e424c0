package build

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	linkv0 "github.com/in-toto/attestation/go/predicates/link/v0"
	slsav1 "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/sallyport-dev/sallyport"
)

var commit = sallyport.GitCommit(strings.Repeat("ab", 20))

func example(r Result) *Provenance {
	p := &Provenance{}
	d := &p.BuildDefinition
	d.BuildType = BuildType
	d.ExternalParameters = External{Command: []string{"make", "all"}, Directory: ".", Artifacts: []string{"dist/*"}, Environment: map[string]string{"GOOS": "linux"}}
	d.InternalParameters.Grade = sallyport.Declared
	d.InternalParameters.Initiator = Initiator{Kind: "agent", Name: "claude-code", Grade: sallyport.Declared, Markers: []string{"CLAUDECODE"}}
	d.InternalParameters.CI = &CIFacts{System: "github", Grade: sallyport.Declared}
	d.ResolvedDependencies = []Resource{
		{Name: "source", URI: "git+https://example.com/acme/app@refs/heads/main", Digest: map[string]string{"gitCommit": commit.Hex()}},
		{URI: "pkg:golang/example.com/x@v1.0.0", Digest: map[string]string{"dirHash": strings.Repeat("00", 32)}},
	}
	p.RunDetails.Builder.ID = LocalBuilder
	p.RunDetails.Builder.Version = map[string]string{"sallyport": "v0"}
	p.RunDetails.Metadata.InvocationID = "urn:uuid:0"
	p.SetResult(r)
	return p
}

func result(status int) Result {
	l := Log{SHA256: hexSum(""), Complete: true}
	return Result{Started: time.Unix(1, 5), Finished: time.Unix(2, 0), Ended: Exited, ExitStatus: status, Stdout: l, Stderr: l}
}

// standard reads a statement as in-toto's own library does, and returns its predicate.
func standard(t *testing.T, st sallyport.Statement) (*intoto.Statement, []byte) {
	t.Helper()
	b, err := sallyport.EncodeJSON(st)
	if err != nil {
		t.Fatal(err)
	}
	var s intoto.Statement
	if err := protojson.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil {
		t.Error(err)
	}
	p, err := protojson.Marshal(s.GetPredicate())
	if err != nil {
		t.Fatal(err)
	}
	return &s, p
}

// The provenance is what the protobuf schema of SLSA v1 says, field by field: one that it does not
// know is an error.
func TestProvenanceIsSLSA(t *testing.T) {
	for _, status := range []int{0, 2} {
		var as []Artifact
		if status == 0 {
			as = []Artifact{{Path: "dist/app", SHA256: hexSum("app"), Size: 3}}
		}
		st, err := example(result(status)).Statement(commit, as)
		if err != nil {
			t.Fatal(err)
		}
		if st.PredicateType != "https://slsa.dev/provenance/v1" || len(st.Subject) != len(as)+1 {
			t.Errorf("status %d: %s with %d subjects", status, st.PredicateType, len(st.Subject))
		}
		_, body := standard(t, st)
		var p slsav1.Provenance
		if err := protojson.Unmarshal(body, &p); err != nil {
			t.Fatal(err)
		}
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		if got := p.GetBuildDefinition().GetInternalParameters().GetFields()["exitStatus"].GetNumberValue(); int(got) != status {
			t.Errorf("exit status %v, want %d", got, status)
		}
		if got := p.GetRunDetails().GetMetadata().GetStartedOn().AsTime(); !got.Equal(time.Unix(1, 0)) {
			t.Errorf("started on %v", got)
		}
		if n := len(p.GetRunDetails().GetByproducts()); n != 2 {
			t.Errorf("%d byproducts", n)
		}
	}
}

// Nothing makes a statement that names the artifacts of a run that failed, in whatever way.
func TestFailedRunHasNoArtifacts(t *testing.T) {
	as := []Artifact{{Path: "app", SHA256: hexSum("app")}}
	odd := result(0)
	odd.Ended = Interrupted
	for name, r := range map[string]Result{"a status": result(1), "interrupted": odd, "the zero result": {}} {
		if _, err := example(r).Statement(commit, as); err == nil {
			t.Errorf("%s: provenance names artifacts", name)
		}
		if _, err := NewLink("build", External{}, nil, r).Statement(commit, as); r.ExitStatus != 0 && err == nil {
			t.Errorf("%s: a link names artifacts", name)
		}
	}
	st, err := example(result(1)).Statement(commit, nil)
	if err != nil || len(st.Subject) != 1 || st.Subject[0].Digest["gitCommit"] != commit.Hex() {
		t.Errorf("%+v, %v", st.Subject, err)
	}
}

func TestLinkIsInToto(t *testing.T) {
	e := External{Command: []string{"make"}, Environment: map[string]string{"A": "b"}}
	l := NewLink("build", e, []Resource{{Name: "a.go", Digest: map[string]string{"sha256": hexSum("a")}}}, result(0))
	st, err := l.Statement(commit, []Artifact{{Path: "app", SHA256: hexSum("app")}})
	if err != nil {
		t.Fatal(err)
	}
	s, body := standard(t, st)
	if len(s.GetSubject()) != 1 || s.GetSubject()[0].GetName() != "app" {
		t.Errorf("products %v", s.GetSubject())
	}
	var got linkv0.Link
	if err := protojson.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.GetByproducts().GetFields()["return-value"] == (*structpb.Value)(nil) {
		t.Error("no return value")
	}
}

func TestReadCI(t *testing.T) {
	github := map[string]string{
		"GITHUB_ACTIONS": "true", "GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "acme/app", "GITHUB_REF": "refs/heads/main",
		"GITHUB_SHA": commit.Hex(), "GITHUB_WORKFLOW_REF": "acme/app/.github/workflows/release.yml@refs/heads/main", "GITHUB_RUN_ID": "7",
		"GITHUB_RUN_ATTEMPT": "2", "GITHUB_ACTOR": "alice", "RUNNER_ENVIRONMENT": "github-hosted", "GITHUB_EVENT_NAME": "push\ninjected",
	}
	gitlab := map[string]string{
		"GITLAB_CI": "true", "CI_SERVER_URL": "https://gitlab.com", "CI_PROJECT_PATH": "acme/app", "CI_COMMIT_SHA": commit.Hex(),
		"CI_COMMIT_TAG": "v1", "CI_JOB_URL": "https://gitlab.com/acme/app/-/jobs/9", "GITLAB_USER_LOGIN": "bob", "CI_CONFIG_PATH": ".gitlab-ci.yml",
	}
	for _, tt := range []struct {
		env                                  map[string]string
		builder, repository, run, ref, actor string
	}{
		{github, "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main", "https://github.com/acme/app", "https://github.com/acme/app/actions/runs/7/attempts/2", "refs/heads/main", "github:alice"},
		{gitlab, "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/tags/v1", "https://gitlab.com/acme/app", "https://gitlab.com/acme/app/-/jobs/9", "refs/tags/v1", "gitlab:bob"},
	} {
		c := ReadCI(func(n string) string { return tt.env[n] })
		if c.Builder() != tt.builder || c.Repository() != tt.repository || c.Invocation() != tt.run || c.Ref != tt.ref || c.Initiator().Name != tt.actor {
			b, _ := json.Marshal(c)
			t.Errorf("%s %s %s", b, c.Builder(), c.Invocation())
		}
		if c.Grade != sallyport.Declared || c.Initiator().Grade != sallyport.Declared || c.Event != "" {
			t.Errorf("grade %q, event %q", c.Grade, c.Event)
		}
	}
	none := ReadCI(func(string) string { return "" })
	if none != nil || none.Builder() != LocalBuilder || none.Repository() != "" || none.Invocation() != "" || none.Initiator().Kind != "unattributed" {
		t.Errorf("elsewhere: %+v", none)
	}
}

func TestSecretName(t *testing.T) {
	for _, n := range []string{"GITHUB_TOKEN", "NPM_AUTH", "MY_API_KEY", "AWS_SECRET_ACCESS_KEY", "dbPassword", "GHTOKEN", "COSIGN_PASSWORD", "DATABASE_DSN", "mysecret2", "SSH_AUTH_SOCK", "api_key", "PGPASSFILE_PASSWORD", "X_PAT"} {
		if !SecretName(n) {
			t.Errorf("%s may be recorded", n)
		}
	}
	for _, n := range []string{"GOOS", "CGO_ENABLED", "SOURCE_DATE_EPOCH", "PATH", "PWD", "KEYBOARD", "PATTERN", "AUTHOR_NAME", "CFLAGS", "LANG", "COMPASS"} {
		if SecretName(n) {
			t.Errorf("%s may not be recorded", n)
		}
	}
}
