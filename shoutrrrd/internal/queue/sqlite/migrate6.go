package sqlite

import "context"

// migrateTo6 adds the table of what events tell of others.
func migrateTo6(ctx context.Context, w *writer) error {
	_, err := w.conn.ExecContext(ctx, schemaFrom("-- What an event tells of pairs", "-- What happened to an event beyond"))
	return err
}
