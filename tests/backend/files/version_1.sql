BEGIN TRANSACTION;
CREATE TABLE conversations (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  owner TEXT NOT NULL,
  messages INTEGER NOT NULL DEFAULT 0,
  unread INTEGER NOT NULL DEFAULT 0,
  read_up_to INTEGER NOT NULL DEFAULT 0,
  created_at REAL NOT NULL,
  details TEXT
);
INSERT INTO "conversations" VALUES(1,'conversation-8698eb153593','visitor:visitor-23af39bd6469',4,2,2,1800000000.0,NULL);
INSERT INTO "conversations" VALUES(2,'conversation-b84f216829d3','user:ann',2,1,0,1800000000.0,NULL);
CREATE TABLE identifies (
  secret_hash TEXT NOT NULL,
  identify_id TEXT NOT NULL,
  user_id TEXT NOT NULL,
  answer TEXT,
  PRIMARY KEY (secret_hash, identify_id)
) WITHOUT ROWID;
INSERT INTO "identifies" VALUES('f4b6bb6548129dacf11c1a9c4dffffefd4aa6b21fcf4e9754cc03b731cbe7c25','i1','ann','{"user_id": "ann", "merged": true, "conversations_moved": 1, "not_merged_because": null, "rejected": []}');
CREATE TABLE merges (
  visitor_id TEXT PRIMARY KEY REFERENCES visitors(id),
  user_id TEXT NOT NULL REFERENCES users(id),
  conversations INTEGER NOT NULL,
  merged_at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "merges" VALUES('visitor-54955a71fa8d','ann',1,1800000000.0);
CREATE TABLE messages (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  conversation_id TEXT NOT NULL REFERENCES conversations(id),
  owner TEXT NOT NULL DEFAULT '',
  author TEXT NOT NULL,
  text TEXT NOT NULL,
  created_at REAL NOT NULL,
  session_id INTEGER REFERENCES sessions(id),
  client_message_id TEXT
);
INSERT INTO "messages" VALUES(1,'conversation-8698eb153593','visitor:visitor-23af39bd6469','visitor','It''s broken; really',1800000000.0,1,'m1');
INSERT INTO "messages" VALUES(2,'conversation-8698eb153593','visitor:visitor-23af39bd6469','agent','one',1800000000.0,NULL,NULL);
INSERT INTO "messages" VALUES(3,'conversation-8698eb153593','visitor:visitor-23af39bd6469','agent','two',1800000000.0,NULL,NULL);
INSERT INTO "messages" VALUES(4,'conversation-8698eb153593','visitor:visitor-23af39bd6469','agent','three',1800000000.0,NULL,NULL);
INSERT INTO "messages" VALUES(5,'conversation-b84f216829d3','user:ann','visitor','as the visitor',1800000000.0,2,'m1');
INSERT INTO "messages" VALUES(6,'conversation-b84f216829d3','user:ann','agent','for ann',1800000000.0,NULL,NULL);
CREATE TABLE owners (
  owner TEXT PRIMARY KEY,
  unread INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO "owners" VALUES('user:ann',1);
INSERT INTO "owners" VALUES('visitor:visitor-23af39bd6469',2);
CREATE TABLE replay (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
  forgotten_up_to INTEGER NOT NULL,
  deleted_messages_up_to INTEGER NOT NULL DEFAULT 0,
  deleted_changes_up_to INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "replay" VALUES(1,0,0,0);
CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  secret_hash TEXT NOT NULL UNIQUE,
  visitor_id TEXT NOT NULL REFERENCES visitors(id),
  user_id TEXT REFERENCES users(id),
  token_expires REAL,
  revoked INTEGER NOT NULL DEFAULT 0,
  revoked_because TEXT,
  revoked_after INTEGER,
  changed INTEGER NOT NULL DEFAULT 0,
  seen_at REAL NOT NULL DEFAULT 0
);
INSERT INTO "sessions" VALUES(1,'43b715e0830d21e76556f15720d9e9af90ffd5cd4b19d5e994fa198eb7c6b29a','visitor-23af39bd6469',NULL,NULL,0,NULL,NULL,0,1800000000.0);
INSERT INTO "sessions" VALUES(2,'e73932ecc03fbf135da31f2924a6b514ee4f4f5176a014e2e8ecd0acd31ef8ee','visitor-54955a71fa8d','ann',1800000900.0,0,NULL,NULL,1,1800000000.0);
INSERT INTO "sessions" VALUES(3,'e542f274a15aa8a4f6fa1b7330264de2f57747a06a70e38f9306f145921618fb','visitor-54955a71fa8d',NULL,NULL,0,NULL,NULL,0,1800000000.0);
CREATE TABLE traits (
  owner TEXT NOT NULL,
  path TEXT NOT NULL,
  value TEXT NOT NULL,
  PRIMARY KEY (owner, path)
) WITHOUT ROWID;
CREATE TABLE users (
  id TEXT PRIMARY KEY,
  created_at REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO "users" VALUES('ann',1800000000.0);
CREATE TABLE visitors (
  id TEXT PRIMARY KEY,
  secret_hash TEXT NOT NULL,
  merged_into TEXT REFERENCES users(id),
  created_at REAL NOT NULL,
  seen_at REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
INSERT INTO "visitors" VALUES('visitor-23af39bd6469','f7e7c36e458e80e6b6a2c67d0a9ec09bd718dadd7bfa8d6bf6e7ad526e46c2f7',NULL,1800000000.0,1800000000.0);
INSERT INTO "visitors" VALUES('visitor-54955a71fa8d','f4b6bb6548129dacf11c1a9c4dffffefd4aa6b21fcf4e9754cc03b731cbe7c25','ann',1800000000.0,1800000000.0);
CREATE UNIQUE INDEX visitor_in_force ON visitors(secret_hash) WHERE merged_into IS NULL;
CREATE INDEX visitors_by_age ON visitors(seen_at);
CREATE INDEX sessions_of_visitor ON sessions(visitor_id);
CREATE INDEX sessions_of_user ON sessions(user_id);
CREATE INDEX sessions_changed ON sessions(changed) WHERE changed > 0;
CREATE INDEX sessions_by_age ON sessions(seen_at);
CREATE INDEX conversations_of_owner ON conversations(owner, number);
CREATE INDEX messages_of_conversation ON messages(conversation_id, number);
CREATE INDEX messages_of_owner ON messages(owner, number);
CREATE INDEX messages_by_client_id ON messages(owner, client_message_id)
  WHERE client_message_id IS NOT NULL;
CREATE INDEX messages_of_session ON messages(session_id) WHERE session_id IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('sessions',3);
INSERT INTO "sqlite_sequence" VALUES('conversations',2);
INSERT INTO "sqlite_sequence" VALUES('messages',6);
COMMIT;
PRAGMA user_version = 1;
