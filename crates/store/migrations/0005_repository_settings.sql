-- What else is said of a repository.

ALTER TABLE repository ADD COLUMN language TEXT NOT NULL DEFAULT '';
ALTER TABLE repository ADD COLUMN website TEXT NOT NULL DEFAULT '';
ALTER TABLE repository ADD COLUMN fork_policy TEXT NOT NULL DEFAULT 'no_public_forks';
