// Keeps the latest state of each branch, change, release and build: a table that a release manager would read.
import type { DatabaseSync } from 'node:sqlite'
import type { HandlerContext, Message } from 'treatyjs'

interface Payload {
  readonly action?: string
  readonly ref?: string
  readonly after?: string
  readonly repository?: { readonly full_name?: string }
}

export const handlers = {
  '*': async ({ type, timestamp, data }: Message<Payload>, context: HandlerContext) => {
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
  },
}
