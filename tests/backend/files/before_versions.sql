BEGIN TRANSACTION;
CREATE TABLE conversation_details (
  conversation_id TEXT PRIMARY KEY REFERENCES conversations(id),
  details TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO "conversation_details" VALUES('conversation-dd8d4f8ab7e9','{"subject": "Printer", "tags": ["a", "b"], "custom_fields": {}, "metadata": {}}');
CREATE TABLE conversations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  read_up_to INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL
);
INSERT INTO "conversations" VALUES(1,'conversation-dd8d4f8ab7e9','visitor:visitor-d212b874af87',2,1800000000.0);
INSERT INTO "conversations" VALUES(2,'conversation-8bfad19cb457','user:ann',0,1800000000.0);
INSERT INTO "conversations" VALUES(3,'conversation-47655db6cae7','user:ann',0,1800000000.0);
CREATE TABLE identifies (
  secret_hash TEXT NOT NULL,
  identify_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  answer TEXT,
  PRIMARY KEY (secret_hash, identify_id)
) WITHOUT ROWID;
INSERT INTO "identifies" VALUES('d39225619c70a7b0201807b500bdcdaeb6e5ac5159ec4394be08a2b5d69935aa','i2','bob',NULL);
INSERT INTO "identifies" VALUES('f4b6bb6548129dacf11c1a9c4dffffefd4aa6b21fcf4e9754cc03b731cbe7c25','i1','ann','{"user_id": "ann", "merged": true, "conversations_moved": 1, "not_merged_because": null, "rejected": []}');
CREATE TABLE merges (
  visitor_id TEXT PRIMARY KEY REFERENCES visitors(id),
  user_id TEXT NOT NULL REFERENCES users(id),
  conversations INTEGER NOT NULL,
  merged_at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "merges" VALUES('visitor-3658cc0837c5','ann',1,1800000000.0);
CREATE TABLE messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation_id TEXT NOT NULL REFERENCES conversations(id),
  author TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at REAL NOT NULL,
  session_id INTEGER REFERENCES sessions(id),
  client_message_id TEXT
);
INSERT INTO "messages" VALUES(1,'conversation-dd8d4f8ab7e9','visitor','It''s broken; really',1800000000.0,1,'m1');
INSERT INTO "messages" VALUES(2,'conversation-dd8d4f8ab7e9','agent','one',1800000000.0,NULL,NULL);
INSERT INTO "messages" VALUES(3,'conversation-dd8d4f8ab7e9','agent','two',1800000000.0,NULL,NULL);
INSERT INTO "messages" VALUES(4,'conversation-dd8d4f8ab7e9','agent','three',1800000000.0,NULL,NULL);
INSERT INTO "messages" VALUES(5,'conversation-8bfad19cb457','visitor','of another',1800000000.0,2,'m1');
INSERT INTO "messages" VALUES(6,'conversation-8bfad19cb457','agent','for ann',1800000000.0,NULL,NULL);
INSERT INTO "messages" VALUES(7,'conversation-47655db6cae7','user','more',1800000000.0,2,'m2');
CREATE TABLE replay (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  forgotten_up_to INTEGER NOT NULL
);
INSERT INTO "replay" VALUES(1,0);
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  secret_hash TEXT NOT NULL UNIQUE,
  visitor_id TEXT NOT NULL REFERENCES visitors(id),
  user_id TEXT REFERENCES users(id),
  token_expires REAL,
  revoked INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "sessions" VALUES(1,'8bc844629452be27158b204dd904693fdd250fe606c353dc71b76776289af6ff','visitor-d212b874af87',NULL,NULL,0);
INSERT INTO "sessions" VALUES(2,'bbd0a49f3cf4169ed0552b4386c5c67ccc7f78bcfc308eff1f24a416a1d0a058','visitor-3658cc0837c5','ann',1800000900.0,0);
INSERT INTO "sessions" VALUES(3,'62564fa8da3d012f81c2265aaa9c9b688ddc9bc68caab7ffe9cd476c3d6cb42d','visitor-3529c8bcf822',NULL,NULL,1);
INSERT INTO "sessions" VALUES(4,'96f2649e78f14265ee11bbc87a1e0960114525090ac6314e68733245868959a0','visitor-82f2a0f9e6a3',NULL,NULL,0);
CREATE TABLE traits (
  owner TEXT NOT NULL,
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner, path)
) WITHOUT ROWID;
INSERT INTO "traits" VALUES('user:ann','user.name','"Ann"');
CREATE TABLE users (
  id TEXT PRIMARY KEY,
  created_at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "users" VALUES('ann',1800000000.0);
CREATE TABLE visitors (
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL,
  merged_into TEXT REFERENCES users(id),
  created_at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "visitors" VALUES('visitor-3529c8bcf822','2c7d3470d617514ede9f8b07e2912811351e6efe42cdc07b661a790b6659d486',NULL,1800000000.0);
INSERT INTO "visitors" VALUES('visitor-3658cc0837c5','f4b6bb6548129dacf11c1a9c4dffffefd4aa6b21fcf4e9754cc03b731cbe7c25','ann',1800000000.0);
INSERT INTO "visitors" VALUES('visitor-82f2a0f9e6a3','d39225619c70a7b0201807b500bdcdaeb6e5ac5159ec4394be08a2b5d69935aa',NULL,1800000000.0);
INSERT INTO "visitors" VALUES('visitor-d212b874af87','f7e7c36e458e80e6b6a2c67d0a9ec09bd718dadd7bfa8d6bf6e7ad526e46c2f7',NULL,1800000000.0);
CREATE UNIQUE INDEX visitor_in_force
  ON visitors(secret_hash) WHERE merged_into IS NULL;
CREATE INDEX sessions_of_visitor ON sessions(visitor_id);
CREATE INDEX sessions_of_user ON sessions(user_id);
CREATE INDEX conversations_of_owner ON conversations(owner);
CREATE INDEX messages_of_conversation ON messages(conversation_id);
CREATE INDEX messages_by_client_id ON messages(client_message_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sessions',4);
INSERT INTO "sqlite_sequence" VALUES('conversations',3);
INSERT INTO "sqlite_sequence" VALUES('messages',7);
COMMIT;
