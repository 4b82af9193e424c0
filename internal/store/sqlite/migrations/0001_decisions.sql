-- Content by digest: policy inputs, policy-set archives, verification summaries, texts that were
-- rendered for a reviewer.
CREATE TABLE blob (
    digest TEXT PRIMARY KEY CHECK (length(digest) = 71 AND digest GLOB 'sha256:*'),
    body   BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- A decision is written once and never changed; a newer one supersedes it by a larger seq.
CREATE TABLE decision (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL UNIQUE CHECK (length(id) = 71 AND id GLOB 'sha256:*'),
    gate    TEXT NOT NULL CHECK (gate IN ('prompt', 'merge', 'release', 'admission', 'audit')),
    subject TEXT NOT NULL, -- digest: "sha256:…", "gitCommit:…"
    outcome TEXT NOT NULL CHECK (outcome IN ('shut', 'waiting', 'open')),
    time    TEXT NOT NULL, -- RFC 3339, of the enforcement point
    body    BLOB NOT NULL, -- the decision as JSON; its SHA-256 is id
    input   TEXT REFERENCES blob (digest), -- NULL if the gate had no policy input
    vsa     TEXT REFERENCES blob (digest)  -- NULL if none was signed
) STRICT;

CREATE INDEX decision_subject ON decision (subject, gate, seq);

-- What must be in the transparency log, in the order in which it is to be appended.
CREATE TABLE entry (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL,
    digest TEXT NOT NULL CHECK (length(digest) = 71 AND digest GLOB 'sha256:*'),
    UNIQUE (kind, digest)
) STRICT;

-- Which of them the log is not known to hold. This is a list of work and no evidence: rows go
-- away, in the transaction that adds one to entry_logged.
CREATE TABLE entry_pending (
    seq INTEGER PRIMARY KEY REFERENCES entry (seq)
) STRICT;

-- Where in the log an entry is.
CREATE TABLE entry_logged (
    seq       INTEGER PRIMARY KEY REFERENCES entry (seq),
    log_index INTEGER NOT NULL UNIQUE CHECK (log_index >= 0)
) STRICT;

-- A log should exist. The newest row is the log in force.
CREATE TABLE log_marker (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    origin       TEXT NOT NULL,
    verifier_key TEXT NOT NULL,
    created      TEXT NOT NULL
) STRICT;

-- States that a log is known to have had.
CREATE TABLE log_head (
    marker INTEGER NOT NULL REFERENCES log_marker (id),
    size   INTEGER NOT NULL CHECK (size >= 0),
    root   BLOB NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (marker, size)
) STRICT, WITHOUT ROWID;

-- Append-only, enforced where a stray statement would meet it. (Whoever can write the file can
-- also drop a trigger; that is what the transparency log is for.)
CREATE TRIGGER blob_no_update         BEFORE UPDATE ON blob         BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER blob_no_delete         BEFORE DELETE ON blob         BEGIN SELECT RAISE(ABORT, 'blobs are append-only'); END;
CREATE TRIGGER decision_no_update     BEFORE UPDATE ON decision     BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER decision_no_delete     BEFORE DELETE ON decision     BEGIN SELECT RAISE(ABORT, 'decisions are append-only'); END;
CREATE TRIGGER entry_no_update        BEFORE UPDATE ON entry        BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_no_delete        BEFORE DELETE ON entry        BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_logged_no_update BEFORE UPDATE ON entry_logged BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER entry_logged_no_delete BEFORE DELETE ON entry_logged BEGIN SELECT RAISE(ABORT, 'entries are append-only'); END;
CREATE TRIGGER log_marker_no_update   BEFORE UPDATE ON log_marker   BEGIN SELECT RAISE(ABORT, 'log markers are append-only'); END;
CREATE TRIGGER log_marker_no_delete   BEFORE DELETE ON log_marker   BEGIN SELECT RAISE(ABORT, 'log markers are append-only'); END;
CREATE TRIGGER log_head_no_update     BEFORE UPDATE ON log_head     BEGIN SELECT RAISE(ABORT, 'log heads are append-only'); END;
CREATE TRIGGER log_head_no_delete     BEFORE DELETE ON log_head     BEGIN SELECT RAISE(ABORT, 'log heads are append-only'); END;
