package mask

import (
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"
)

// A format is a kind of token that says what it is: after its prefix come between least and most
// bytes of a class, and then something else.
type format struct {
	prefix      string
	kind        Kind
	rule        string
	body        *charset
	least, most int
	loose       bool // the prefix is short or common: the rest must look random
}

// A charset is a set of bytes.
type charset [256]bool

// The table has a format to a line: prefixes, split by commas; the kind; the class of what follows; its
// length. A "?" after the class asks for a random look. It is written from what the services publish.
const formatTable = `
AKIA,ASIA,ABIA,ACCA aws-access-key AZ 16
A3T aws-access-key AZ 17
ABSK aws-bedrock-key b64 109-300
amzn.mws. aws-mws-token url 36
da2- aws-appsync-key az 26
ghp_,gho_,ghu_,ghs_,ghr_ github-token an 36-251
github_pat_ github-token word 22-255
glpat-,gldt-,glrt-,glcbt-,glptt-,glft-,glimt-,glagent-,gloas-,glsoat-,glffct-,GR1348941 gitlab-token dot 20-320
_gitlab_session= gitlab-token an 32
ATBB bitbucket-token an 32
ATATT3,ATCTT3,ATSTT3 atlassian-token b64url 60-400
xoxb-,xoxp-,xoxa-,xoxr-,xoxs-,xoxo-,xoxe-,xoxe.,xoxc-,xoxd-,xapp- slack-token path 15-400
hooks.slack.com/services/,hooks.slack.com/workflows/,hooks.slack.com/triggers/ slack-webhook path 30-120
discord.com/api/webhooks/,discordapp.com/api/webhooks/ discord-webhook path 60-140
eyJrIjoi grafana-token b64 60-400
webhook.office.com/webhookb2/,outlook.office.com/webhook/ teams-webhook path@ 100-260
sk_live_,sk_test_,rk_live_,rk_test_,sk_prod_,rk_prod_,sk_org_ stripe-key word 10-250
whsec_ webhook-secret b64 20-100
sk-ant- anthropic-key url 20-200
sk-proj-,sk-svcacct-,sk-admin-,sk-None- openai-key url 40-220
sk-or-v1- openrouter-key hex 64
sk- api-key url? 20-200
gsk_ groq-key an 40-60
xai- xai-key an 70-90
pplx- perplexity-key an 40-60
r8_ replicate-token an 37-40
hf_,api_org_ huggingface-token an? 30-45
nvapi- nvidia-key url 60-75
tvly- tavily-key url 20-60
AIza google-api-key url 35
ya29. google-token dot 20-300
GOCSPX- google-client-secret url 28
1//0 google-refresh-token url? 30-140
dop_v1_,doo_v1_,dor_v1_ digitalocean-token hex 64
shpat_,shpca_,shppa_,shpss_ shopify-token hexx 32
sq0atp-,sq0csp-,sq0atb- square-token url 20-60
EAAA square-token url? 58-64
SG. sendgrid-key dot 60-70
key- mailgun-key hex 32
npm_ npm-token an 36
pypi-AgE,pypi-AgN pypi-token url 50-1000
rubygems_ rubygems-key hex 48
oy2 nuget-key az? 43
dckr_pat_,dckr_oat_ docker-token url 24-40
dapi databricks-token hex- 32-34
glsa_ grafana-token word 41
glc_ grafana-token b64 32-400
hvs.,hvb.,hvr. vault-token url 20-400
s. vault-token an? 24
pul- pulumi-token hex 40
dp.pt.,dp.ct.,dp.sa.,dp.scim.,dp.audit. doppler-token an 40-44
dp.st. doppler-token dot 40-60
pscale_tkn_,pscale_oauth_,pscale_pw_ planetscale-token dot 32-64
lin_api_,lin_oauth_ linear-key an 40-64
ntn_ notion-token an 40-50
figd_,figo_,figu_ figma-token url 36-60
PMAK- postman-key hexx- 59
PMAT- postman-key an 26
NRAK-,NRII-,NRJS-,NRSP-,NRAL-,NRAA-,NRIQ-,NRRA- newrelic-key url 19-40
dt0c01.,dt0s16.,dt0s02. dynatrace-token dot 60-130
sntrys_,sntryu_ sentry-token b64url 40-400
AGE-SECRET-KEY-1 age-key AZ 58
fo1_ fly-token url 43
fm1a_,fm1r_,fm2_ fly-token b64 80-900
HRKU-AA heroku-key url 50-70
rnd_ render-key an? 20-40
sbp_ supabase-key hex 40
sb_secret_ supabase-key url 30-50
nfp_,nfc_,nfo_ netlify-token an 30-50
LTAI alibaba-key an? 12-24
AKID tencent-key an? 32-36
AQVN yandex-key url? 35-45
y0_,t1.9 yandex-token dot? 40-400
EAAC,EAAM,EAAG facebook-token an 90-400
IGQV instagram-token url? 80-250
AKCp artifactory-key an 60-80
cmVmd artifactory-token an 59
squ_,sqp_,sqa_ sonar-token hex 40
sgp_ sourcegraph-token wordlocal 40-66
shippo_live_,shippo_test_ shippo-token hex 40
duffel_live_,duffel_test_ duffel-token b64url 43
EZAK,EZTK easypost-key an 54
FLWSECK-,FLWSECK_TEST- flutterwave-key an- 12-40
rzp_live_,rzp_test_ razorpay-key an 14
access_token$production$,access_token$sandbox$ braintree-token dollar 40-60
p8e- adobe-client-secret url 32-36
aio_ adafruit-key an 28
ico- infracost-key an 32
pnu_,pnb_ prefect-key an 36
rdme_ readme-key an 60-80
tk-us- scalingo-token url 48
xkeysib-,xsmtpsib- brevo-key hex- 60-90
CLOJARS_ clojars-token hexx 60
tfp_ typeform-token url_ 40-70
fio-u- frameio-token b64url 64
ops_eyJ 1password-token b64 250-2000
dnkey- defined-token url 26-90
sha256~ openshift-token url 43
tskey-auth-,tskey-api-,tskey-client-,tskey- tailscale-key url 20-80
CCIPAT_,CCIPRJ_ circleci-token word 40-90
bkua_,bkaj_ buildkite-token hex 40
CFPAT- contentful-token url 40-50
hawk. stackhawk-key dot 30-60
odt_ dependencytrack-key an? 28-60
sm_aat_,sm_pat_,sm_sat_ settlemint-token an 16
django-insecure- django-secret-key print 30-80
xprv bip32-key an 100-110
live_ streaming-key live 30-60
API- octopus-key AZ? 26
tok_live_,tok_test_,pat_live_ api-key an? 16-80
phc_,phx_ posthog-key an? 40-50
apify_api_ apify-token an 30-46
sdkey_,uk_live_ api-key an? 20-80
dG9rO intercom-token b64 40-90
SK twilio-key hex 32
ctp_,cio clojure-token an? 32-34
atlasv1. terraform-token b64url 50-90
$2a$,$2b$,$2y$ password-hash crypt 56
$6$,$5$,$1$,$8$,$9$,$apr1$,$y$ password-hash crypt=? 26-150
$krb5asrep$,$krb5tgs$,$krb5pa$ kerberos-hash krb 60-6000
$argon2i$,$argon2d$,$argon2id$ password-hash crypt= 40-250
`

// Bodies beyond the single classes; each is a class with further bytes.
var bodies = map[string]struct {
	class class
	more  string
}{
	"AZ": {upper | digit, ""}, "az": {lower | digit, ""}, "an": {alnum, ""}, "an-": {alnum, "-"}, "word": {word, ""},
	"url": {url64, ""}, "url_": {url64, ""}, "dot": {dotted, ""}, "b64": {b64, ""}, "b64url": {url64, "="},
	"hex": {hexLower, ""}, "hexx": {hexAny, ""}, "hex-": {hexLower, "-"}, "hexx-": {hexAny, "-"},
	"path": {url64, "/%+"}, "path@": {url64, "/@"}, "print": {alnum, "!#$%&()*+-=@^_"}, "dollar": {alnum, "$_"},
	"crypt": {alnum, "./$"}, "crypt=": {alnum, "./$,=+"}, "krb": {alnum, "$.@:*/-_"}, "wordlocal": {word, ""}, "live": {word, ""},
}

func parseFormats(table string) (out []format, err error) {
	sets := map[string]*charset{}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) != 4 {
			return nil, fmt.Errorf("formats: %q", line)
		}
		name, loose := strings.CutSuffix(f[2], "?")
		if sets[name] == nil {
			if body, ok := bodies[name]; ok {
				sets[name] = charsetOf(body.class, body.more)
			}
		}
		lo, hi, ranged := strings.Cut(f[3], "-")
		least, err1 := strconv.Atoi(lo)
		most := least
		var err2 error
		if ranged {
			most, err2 = strconv.Atoi(hi)
		}
		if sets[name] == nil || err1 != nil || err2 != nil || least > most {
			return nil, fmt.Errorf("formats: %q", line)
		}
		for p := range strings.SplitSeq(f[0], ",") {
			out = append(out, format{prefix: p, kind: Kind("secret:" + f[1]), rule: f[1], body: sets[name], least: least, most: most, loose: loose})
		}
	}
	return out, nil
}

func charsetOf(c class, more string) *charset {
	var s charset
	for b := range s {
		s[b] = c.has(byte(b)) || strings.IndexByte(more, byte(b)) >= 0
	}
	return &s
}

// crcBase62 reports whether the last six characters of a token are the CRC-32 of those before, in
// base 62, as GitHub and npm write it.
func crcBase62(body []byte) bool {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	if len(body) < 7 {
		return false
	}
	sum := crc32.ChecksumIEEE(body[:len(body)-6])
	for i := len(body) - 1; i >= len(body)-6; i-- {
		if body[i] != digits[sum%62] {
			return false
		}
		sum /= 62
	}
	return sum == 0
}
