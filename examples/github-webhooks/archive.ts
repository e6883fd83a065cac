// Counts deliveries by kind and repository: one row more exactly once, whatever crashes.
import type { DatabaseSync } from 'node:sqlite'
import type { HandlerContext, Message } from 'treatyjs'

interface Payload {
  readonly repository?: { readonly full_name?: string }
}

export const handlers = {
  '*': async ({ type, data }: Message<Payload>, context: HandlerContext) => {
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
  },
}
