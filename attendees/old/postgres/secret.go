package postgres

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"

	"lethe/attendees/ledger"
)

// SecretUses tells how many hashes, halves, open requests and signatures still need each secret. One that
// signed the ledger and is not here is called by its key in the ledger's checkpoints.
func (s *Store) SecretUses(ctx context.Context) ([]KeyUse, error) {
	signers, err := s.signers()
	if err != nil {
		return nil, err
	}
	names := map[uint32]string{}
	for i, signer := range signers {
		names[signer.KeyHash()] = s.keys.IDs()[i]
	}
	var signed []KeyUse
	// Six letters of base64 are the four bytes that name the key, and half a byte more.
	err = s.db.SelectContext(ctx, &signed, `
		select left(split_part(note, E'\n— lethe ', 2), 6) as key, count(*) as n
		from ledger_checkpoints
		group by 1`)
	if err != nil {
		return nil, quiet("count what needs a secret", err)
	}
	checkpoints := map[string]int{}
	for _, c := range signed {
		name := "that signed the ledger as " + ledger.Name + "+?"
		if hash, err := base64.StdEncoding.DecodeString(c.Key + "AA"); err == nil && len(hash) == 6 {
			key := binary.BigEndian.Uint32(hash)
			if name = names[key]; name == "" {
				name = fmt.Sprintf("that signed the ledger as %s+%08x", ledger.Name, key)
			}
		}
		checkpoints[name] += c.Records
	}
	var uses []KeyUse
	err = s.db.SelectContext(ctx, &uses, `
		select key, count(*) as n
		from (
			select address_key as key from attendees where address_index <> ''
			union all
			select person_key from sealed where person is not null
			union all
			select key from tombstones
			union all
			select key from openings where key <> ''
			union all
			select key from holds where keyed_id is not null and released_at is null
			union all
			select key from outbox
			union all
			select key from cases where key <> ''
		) as used
		group by key
		order by key`)
	if err != nil {
		return nil, quiet("count what needs a secret", err)
	}
	for i := range uses {
		uses[i].Records += checkpoints[uses[i].Key]
		delete(checkpoints, uses[i].Key)
	}
	for name, n := range checkpoints {
		uses = append(uses, KeyUse{Key: name, Records: n})
	}
	slices.SortFunc(uses, func(a, b KeyUse) int { return strings.Compare(a.Key, b.Key) })
	return uses, nil
}

// MissingSecret names a secret that is still needed and is not here; empty: all are. It
// writes nothing.
func (s *Store) MissingSecret(ctx context.Context) (string, error) {
	_, missing, err := s.missingSecret(ctx)
	return missing, err
}

// UseSecret is MissingSecret for those who may write. It notes which secret writes from now
// on, so that only where one of those is missing all that needs a secret has to be looked
// through.
func (s *Store) UseSecret(ctx context.Context) (missing string, err error) {
	wrote, missing, err := s.missingSecret(ctx)
	if err != nil || missing != "" {
		return missing, err
	}
	if slices.ContainsFunc(wrote, s.lacks) {
		_, err = s.db.ExecContext(ctx, `delete from marks where name like 'secret %' and not substr(name, 8) = any($1)`, pq.Array(s.keys.IDs()))
		if err != nil {
			return "", quiet("forget secrets that nothing needs", err)
		}
	}
	if slices.Contains(wrote, s.keys.Newest()) {
		return "", nil
	}
	return "", s.SetMark(ctx, Mark("secret "+s.keys.Newest()))
}

// missingSecret gives the secrets that have written, too, as far as that is noted.
func (s *Store) missingSecret(ctx context.Context) (wrote []string, missing string, err error) {
	if err := s.db.SelectContext(ctx, &wrote, `select substr(name, 8) from marks where name like 'secret %'`); err != nil {
		return nil, "", quiet("list the secrets in use", err)
	}
	if !slices.ContainsFunc(wrote, s.lacks) {
		return wrote, "", nil
	}
	uses, err := s.SecretUses(ctx)
	if err != nil {
		return nil, "", err
	}
	for _, u := range uses {
		if s.lacks(u.Key) {
			return wrote, u.Key, nil
		}
	}
	return wrote, "", nil
}

// lacks tells that a secret of that id is not here.
func (s *Store) lacks(id string) bool { return !s.keys.Has(id) }
