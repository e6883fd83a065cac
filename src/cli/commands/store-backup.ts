import { existsSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { TreatyError } from '../../core/errors.ts'
import type { Command } from '../command.ts'
import type { CommandTable } from '../command-table.ts'

interface Data {
  readonly file: string
  readonly bytes: number
}

/** Copies the store while others go on using it. */
export const storeBackup: Command<CommandTable['store backup'], Data> = {
  async run({ file }, context) {
    const settings = await context.settings()
    const target = resolve(context.cwd, file)
    if (existsSync(target)) {
      throw new TreatyError('OUTPUT_EXISTS', `there is something at ${file} already`, {
        hint: 'Choose another name: a backup never overwrites.',
        details: { file },
      })
    }
    const [{ isPostgresUrl, openStore, sqlitePath }, { storeUrlFor }] = await Promise.all([
      import('../../store/index.ts'),
      import('../../messaging/index.ts'),
    ])
    const url = context.reveal(settings.store ?? storeUrlFor(context.reveal(settings.transport)))
    const path = url.startsWith('memory:') || isPostgresUrl(url) ? undefined : sqlitePath(url)
    if (!isPostgresUrl(url) && (path === undefined || !existsSync(path))) {
      throw new TreatyError('FILE_NOT_FOUND', `there is no store at ${path ?? url}`, {
        hint: 'Name it with --store FILE.',
      })
    }
    const store = await openStore(url, { clock: context.clock })
    try {
      await store.backup(target)
    } finally {
      await store.close()
    }
    const { size } = statSync(target)
    return {
      data: { file: target, bytes: size },
      toText: ({ green, symbols }) => `${green(`${symbols.ok} written`)}  ${file}, ${size} bytes`,
    }
  },
}
