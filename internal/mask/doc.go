// Package mask finds secrets, personal data and passages of documents in text that is about to leave,
// puts a sentinel in the place of each, and puts the originals back where that is allowed.
//
// # Finding
//
// An automaton over all triggers (Aho and Corasick) passes over the text once. A trigger is a token's
// prefix, a word that names of secrets hold, or a mark such as "://" or "-----BEGIN". Where one stands, a
// validator that is anchored there looks at what follows: character set, length, boundary, entropy and,
// where the format has one, the checksum. No expression is run and nothing is tried twice, so that the time
// is linear in the text whatever it holds, and nothing is allocated while nothing is found. There are
//
//   - tokens that say by their form what they are (formats.go), private keys, JSON web tokens, hashes of
//     passwords;
//   - places that are made for secrets: passwords in URLs, Authorization headers, curl -u, .netrc;
//   - assignments to names that promise a secret, in the ways of many languages, judged by the name and
//     by the value: what reads like a word, a variable, a path or an example is none;
//   - values that are known to be secret ([Known], [HashList]), in each common encoding;
//   - what is encoded in base64 or hex, up to three deep;
//   - personal data, by kind ([Options.Personal]), and passages of marked documents ([Documents]).
//
// A token may begin behind what only looks like part of a word: the letter of an escape (\n, \u0022), the end
// of a colour code, a byte in percent-encoding.
//
// [Engine.FindJSON] walks the body as it is written. Strings without escapes are looked at where they
// stand; others are decoded into a buffer first, and findings are mapped back. The body is never encoded
// anew, so that all of it that is no secret leaves byte for byte as it came. A secret that content blocks
// cut in pieces is found too.
//
// # Masking
//
// A [Vault] belongs to one run. The same value always has the same sentinel, and no two values share one, so
// that a model can still tell values apart and repeat them. Sentinels of values that are found in a string of
// JSON remember how they were written: putting back what was masked gives the same bytes. Whoever puts
// back says for which kinds; the rule for everybody else is that secrets stay masked.
//
// # What is not found
//
// Secrets without form or place: a password in the middle of a sentence, one that is a word. What is
// encrypted or compressed, or encoded by a means of the adversary's own. Text in images and archives. An
// agent that wants to smuggle out what it knows can; the engine stops what leaves by habit and mistake.
package mask
