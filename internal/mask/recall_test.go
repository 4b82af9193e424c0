package mask

import (
	"strings"
	"testing"
)

// What people and programs write around passwords, and what looks like it and is none.
func TestPlaces(t *testing.T) {
	e := engine(t, Options{})
	const pw = "Sup3rS" + "3cretX"
	digits32 := "5a1f0c9e" + "7b3d48e2" + "6f90ab17" + "c4d3e852"
	for _, row := range []struct{ name, text, want string }{
		{"mysql", "mysql -u root -p" + pw + " db", "secret:password " + pw},
		{"sshpass", "sshpass -p " + pw + " ssh a@b", "secret:password " + pw},
		{"sshpass, a word", "sshpass -p 'winterfell' ssh a@b", "secret:password winterfell"},
		{"openssl", "openssl enc -aes-256-cbc -k " + pw + " -in a", "secret:password " + pw},
		{"openssl, pass", "openssl pkcs12 -in a.p12 -passin pass:" + pw + " -nodes", "secret:password " + pw},
		{"docker login", "docker login -u me -p " + pw + " registry.corp.io", "secret:password " + pw},
		{"Dockerfile", "FROM alpine\nENV DB_PASS " + pw + "\n", "secret:password " + pw},
		{"Dockerfile, token", "ENV API_TOKEN " + digits32, "secret:generic " + digits32},
		{"aws configure", "aws configure set aws_secret_access_key " + "kJ8vQ2mZx7Lp0Wd4RtYb6Nc1HsGf9Ea3UoTiXqV5", "secret:generic kJ8vQ2mZx7Lp0Wd4RtYb6Nc1HsGf9Ea3UoTiXqV5"},
		{"a header", "Authorization: " + digits32, "secret:generic " + digits32},
		{"a tuple", "requests.get(u, auth=('admin', '" + pw + "'))", "secret:password " + pw},
		{"a credential", `new NetworkCredential("joe@corp.io", "` + pw + `");`, "secret:password " + pw},
		{"a sentence", "My password is " + pw + " and it works", "secret:password " + pw},
		{"a sentence with a colon", "the password is: " + pw + "\n", "secret:password " + pw},
		{"a secret key", "the secret key is " + digits32 + ".", "secret:generic " + digits32},
		{"kubectl", "kubectl create secret generic a --from-literal=password=" + pw, "secret:password " + pw},
		{"for one command", "PG" + "PASSWORD=hunter22 psql -h db", "secret:password hunter22"},
		{"pw", "TF_VAR_db_pw=" + pw + "\n", "secret:password " + pw},
		{"pwd", "pwd: " + pw + "\n", "secret:password " + pw},
		{"Terraform", "variable \"db_password\" {\n  default = \"" + pw + "\"\n}", "secret:password " + pw},
		{"a quotation mark inside", "DB_PASSWORD=" + pw + "\"tail9\n", "secret:password " + pw + `"tail9`},
		{"behind a word", "gpt-5" + githubToken(), "secret:github-token " + githubToken()},

		{"a sentence about one", "The password is required and must have 8 characters.", ""},
		{"a sentence about one, again", "Your password is: hidden. A password is checked by bcrypt2 here.", ""},
		{"an option for a port", "docker run -p 8080:80 nginx; mysql -p", ""},
		{"an option for a path", "mkdir -p build/out && mysql --port 3306", ""},
		{"a variable", "mysql -u root -p$MYSQL_PASSWORD db; sshpass -p \"$PASS\" ssh a", ""},
		{"an argument", "sshpass -p ${PW} x\nENV DB_PASS ${PW}\nENV TOKEN_FILE /run/secrets/t\n", ""},
		{"a cookie's flag", "password := flag.String(\"p\", \"\", \"the password is read from here\")", ""},
		{"an example that counts", "licenseKey=" + "a1b2c3d4e5f6g7h8i9j0" + "k1l2m3n4o5p6q7r8NRAL", ""},
		{"in a string", `f("password=" + x + "y"); g("password=word"x)`, ""},
		{"a longer word", "snpm_run_the_whole_suite_of_tests_in_the_browser", ""},
	} {
		text := []byte(row.text)
		if got := strings.Join(kindsIn(text, e.Find(nil, text)), "; "); got != row.want {
			t.Errorf("%s: %q\n got %q\nwant %q", row.name, row.text, got, row.want)
		}
	}
}
