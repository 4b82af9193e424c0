package policy

import (
	"slices"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
)

// pureBuiltins are the functions that a rule may call: each of them gives the same answer for
// the same arguments, on every machine, for ever. A function that is not here does not exist,
// so a new version of the library cannot bring one in unseen; a test fails until somebody has
// put it here or under refusedBuiltins.
const pureBuiltins = `
	eq assign equal neq gt gte lt lte internal.member_2 internal.member_3 internal.print
	internal.template_string internal.test_case print trace
	plus minus mul div round ceil floor abs rem
	bits.or bits.and bits.negate bits.xor bits.lsh bits.rsh
	and or intersection union set_diff count sum product max min sort all any
	array.concat array.flatten array.slice array.reverse
	to_number numbers.range numbers.range_step units.parse units.parse_bytes
	regex.match regex.is_valid regex.find_all_string_submatch_n regex.template_match regex.split
	regex.find_n regex.globs_match regex.replace re_match glob.match glob.quote_meta
	strings.any_prefix_match strings.any_suffix_match concat format_int indexof indexof_n substring
	contains strings.count startswith endswith lower upper split strings.split_n replace
	strings.replace_n trim trim_left trim_prefix trim_right trim_suffix trim_space sprintf
	strings.reverse strings.render_template
	json.filter json.remove json.patch json.marshal json.marshal_with_options json.unmarshal
	json.is_valid
	object.subset object.union object.union_n object.remove object.filter object.get object.keys
	base64.encode base64.decode base64.is_valid base64url.encode base64url.encode_no_pad
	base64url.decode urlquery.decode urlquery.encode urlquery.encode_object urlquery.decode_object
	uri.parse uri.is_valid yaml.marshal yaml.unmarshal yaml.is_valid hex.encode hex.decode
	time.parse_ns time.parse_rfc3339_ns time.parse_duration_ns time.format time.date time.clock
	time.weekday time.add_date time.diff
	crypto.md5 crypto.sha1 crypto.sha256 crypto.hmac.md5 crypto.hmac.sha1 crypto.hmac.sha256
	crypto.hmac.sha512 crypto.hmac.equal
	walk graph.reachable graph.reachable_paths
	is_number is_string is_boolean is_array is_set is_object is_null type_name
	cast_array cast_set cast_string cast_boolean cast_null cast_object
	semver.is_valid semver.compare uuid.parse rego.metadata.chain rego.metadata.rule
`

// refusedBuiltins are the others. They reach the network, the environment, the clock or a source
// of randomness; or verify signatures and certificates, which is done before policy sees
// anything, by code that knows the time and the trust roots; or parse languages that no rule
// here needs, JSON Schema with its remote references among them.
const refusedBuiltins = `
	http.send net.lookup_ip_addr providers.aws.sign_req
	net.cidr_intersects net.cidr_expand net.cidr_contains net.cidr_contains_matches net.cidr_merge
	net.cidr_is_valid net.cidr_overlap
	opa.runtime time.now_ns rand.intn uuid.rfc4122
	io.jwt.decode io.jwt.verify_rs256 io.jwt.verify_rs384 io.jwt.verify_rs512 io.jwt.verify_ps256
	io.jwt.verify_ps384 io.jwt.verify_ps512 io.jwt.verify_es256 io.jwt.verify_es384
	io.jwt.verify_es512 io.jwt.verify_eddsa io.jwt.verify_hs256 io.jwt.verify_hs384
	io.jwt.verify_hs512 io.jwt.decode_verify io.jwt.encode_sign_raw io.jwt.encode_sign
	crypto.x509.parse_certificates crypto.x509.parse_and_verify_certificates
	crypto.x509.parse_and_verify_certificates_with_options crypto.x509.parse_certificate_request
	crypto.x509.parse_keypair crypto.x509.parse_rsa_private_key crypto.parse_private_keys
	graphql.parse graphql.parse_and_verify graphql.parse_query graphql.parse_schema graphql.is_valid
	graphql.schema_is_valid json.verify_schema json.match_schema rego.parse_module
`

// capabilities returns what the parser and the compiler of a set of that version may use.
func capabilities(v ast.RegoVersion) *ast.Capabilities {
	if v == ast.RegoV0 {
		return capabilitiesV0()
	}
	return capabilitiesV1()
}

var (
	capabilitiesV0 = sync.OnceValue(func() *ast.Capabilities { return pureCapabilities(ast.RegoV0) })
	capabilitiesV1 = sync.OnceValue(func() *ast.Capabilities { return pureCapabilities(ast.RegoV1) })
)

func pureCapabilities(v ast.RegoVersion) *ast.Capabilities {
	names := strings.Fields(pureBuiltins)
	pure := make(map[string]bool, len(names))
	for _, name := range names {
		pure[name] = true
	}
	c := ast.CapabilitiesForThisVersion(ast.CapabilitiesRegoVersion(v))
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool { return !pure[b.Name] })
	c.AllowNet = []string{} // empty, not nil: no host at all
	return c
}
