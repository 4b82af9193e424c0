// Package model is the model registry: which models may be used, reached where, by whom, for which
// repository and what use, until when.
//
// The registry is the governed file .sallyport/models.yaml ([ParseFile]), together with what persons have
// signed about its entries ([New]). An entry counts once
//
//   - a person has signed that it says what is known (action add): its author;
//   - another person than its owner and its authors has approved it (action approve), at a grade that
//     policy accepts of approvals. For internal endpoints that is a person with the role reviewer or
//     security. For external ones it has to be one with the role security;
//   - nobody has revoked it (action revoke): a person with the role security, its owner, one of its authors,
//     or whoever approved it.
//
// All of them name the entry by the digest of its canonical bytes, so a changed entry is a new one. A
// revocation ends the entry for good. It ends every other entry of the same provider, name and version as
// well that was not approved after it, and it holds where the file no longer lists what it ended. So a
// revoked model comes back only as another entry that somebody has approved since.
//
// A team of one, which the root has to name, approves its own.
//
// # Names
//
// [Registry.Check] takes a model's name as a request spells it. A name is visible ASCII and is compared byte
// by byte: case matters, nothing is trimmed, and a letter that only looks like another is another. What
// these rules do not turn into the name of an entry is unknown, and refused:
//
//   - PROVIDER/NAME is NAME where PROVIDER is the one that is asked, or where none is named;
//   - google: models/NAME is NAME;
//   - vertex: [projects/P/locations/L/]publishers/PUB/models/NAME is PUB/NAME;
//   - bedrock: arn:…:bedrock:…:foundation-model/NAME and …:inference-profile/NAME are NAME; a region before
//     it (us. eu. apac. jp. au. ca. us-gov. global.) is taken off, and has to be among the entry's regions;
//   - what follows is the version of a name: -YYYYMMDD (anthropic), -YYYY-MM-DD (openai, azure), -NNN
//     (google, vertex), @YYYYMMDD and @NNN (vertex), [-YYYYMMDD]-vN[:M] (bedrock). An entry admits its own version,
//     or with snapshots any;
//   - NAME-latest (anthropic, openai, azure, google), NAME@latest and NAME@default (vertex) and NAME:latest (other
//     providers) mean the newest one, which an entry admits with latest;
//   - fine-tuned models (ft:…), provisioned and imported ones (other ARNs), endpoints of one's own and Azure's
//     deployments are no spelling of what they were made from: they need an entry, an alias or a
//     pattern of their own.
//
// Of several entries that fit, the closest decides: one that has the name or an alias, before one that admits
// any version, before one that admits the newest, before a pattern. Of several that are as close, the one
// that refuses.
//
// # Endpoints
//
// A request's URL is under an endpoint if scheme, host and port are the same and its path is the endpoint's or below it.
// A path that could climb out of it, credentials in it, and an encoded slash or dot are refused. In the
// host of an endpoint, * may stand for a label that is none of the last two. An endpoint is internal only if its
// host shows it: this machine, a private address, a name without dots or one of those that no public name
// server answers. Everything else is external, whatever the file calls it.
//
// A [Registry] is a snapshot and is not changed after [New]; it is safe for concurrent use. Its caller makes a new
// one when file, roster or evidence have changed. The package reads no clock, no file and no git.
package model
