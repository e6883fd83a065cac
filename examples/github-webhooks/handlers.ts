// The two consumers of the GitHub pack. Both keep a table; the row changes in the transaction that acknowledges the
// message, so each delivery counts once, whatever crashes.
import type { DatabaseSync } from 'node:sqlite'
import type { HandlerContext, Message } from 'treatyjs'

interface Payload {
  readonly action?: string
  readonly ref?: string
  readonly after?: string
  readonly repository?: { readonly full_name?: string }
}

/** Counts deliveries by kind and repository. */
async function archive({ type, data }: Message<Payload>, context: HandlerContext): Promise<void> {
  const repository = data.repository?.full_name ?? ''
  context.commit((tx) => {
    const database = tx as DatabaseSync
    database.exec(
      'create table if not exists archive_counts (kind text, repository text, count integer not null, primary key (kind, repository)) strict',
    )
    database
      .prepare(
        'insert into archive_counts values (?, ?, 1) on conflict (kind, repository) do update set count = count + 1',
      )
      .run(type, repository)
  })
}

/** Keeps the latest state of each branch, change, release and build: what a release manager reads. */
async function note(
  { type, timestamp, data }: Message<Payload>,
  context: HandlerContext,
): Promise<void> {
  const subject = `${data.repository?.full_name ?? ''} ${data.ref ?? ''}`.trim()
  context.commit((tx) => {
    const database = tx as DatabaseSync
    database.exec(
      'create table if not exists release_train_latest (kind text, subject text, state text, at text, primary key (kind, subject)) strict',
    )
    database
      .prepare(
        'insert into release_train_latest values (?, ?, ?, ?) on conflict (kind, subject) do update set state = excluded.state, at = excluded.at',
      )
      .run(type, subject, data.action ?? data.after ?? '', timestamp)
  })
}

export const handlers = {
  archive: { '*': archive },
  'release-train': { '*': note },
}
