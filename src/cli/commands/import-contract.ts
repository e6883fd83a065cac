import { basename, join, relative, resolve } from 'node:path'
import type { Imported } from '../../contracts/index.ts'
import { TreatyError } from '../../core/errors.ts'
import { hasErrors } from '../../core/finding.ts'
import type { Command, CommandContext, CommandResult } from '../command.ts'
import type { CommandTable } from '../command-table.ts'
import { exitCode } from '../exit-code.ts'
import { pathOfFile, readAll } from '../read-input.ts'
import { writeText } from '../write-text.ts'

interface Data {
  readonly contract?: { readonly id: string; readonly version: string }
  readonly yaml?: string
  readonly file?: string
}

/** Makes a contract of an AsyncAPI document. */
export const importAsyncApiCommand: Command<CommandTable['import asyncapi'], Data> = {
  async run({ file, out }, context) {
    const path = localPath(file, context)
    const { importAsyncApi } = await import('../../contracts/index.ts')
    return finish(importAsyncApi(path), out, context)
  },
}

/** Makes a draft contract of a JSON Schema. */
export const importJsonSchemaCommand: Command<CommandTable['import jsonschema'], Data> = {
  async run({ file, out }, context) {
    const path = localPath(file, context)
    const { importJsonSchema } = await import('../../contracts/index.ts')
    return finish(importJsonSchema(path), out, context)
  },
}

/** Makes a draft contract of the subjects of a schema registry. */
export const importConfluentCommand: Command<CommandTable['import confluent'], Data> = {
  async run({ source, out }, context) {
    const { importConfluent, importConfluentText } = await import('../../contracts/index.ts')
    if (isUrl(source)) {
      const { readRegistry } = await import('../import/confluent-registry.ts')
      const dump = await readRegistry(source, context.stopping)
      return finish(importConfluent(dump, { id: 'imported', file: source }), out, context)
    }
    const text = (await readAll(source, context)).toString('utf8')
    const id = basename(source).replace(/\.json$/i, '')
    return finish(importConfluentText(text, { id, file: source }), out, context)
  },
}

function isUrl(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text)
}

/** @throws IMPORT_REMOTE · FILE_NOT_FOUND · FILE_UNREADABLE */
function localPath(file: string, context: CommandContext): string {
  if (!isUrl(file)) return pathOfFile(file, context)
  throw new TreatyError('IMPORT_REMOTE', 'an import reads files, and fetches nothing', {
    hint: 'Save the document to a file and import that.',
  })
}

async function finish(
  { contract, findings }: Imported,
  out: string | undefined,
  context: CommandContext,
): Promise<CommandResult<Data>> {
  const failed = hasErrors(findings)
  const code = failed ? exitCode.findings : exitCode.ok
  if (contract === undefined) return { exitCode: code, data: {}, findings }
  const { contractToYaml } = await import('../../contracts/index.ts')
  const yaml = contractToYaml(contract)
  const { id, version } = contract
  const summary = { contract: { id, version }, yaml }
  if (out === undefined) {
    return { exitCode: code, data: summary, findings, toText: () => yaml.trimEnd() }
  }
  const file = join(resolve(context.cwd, out), `${id.replaceAll(/[:/]/g, '-')}.yaml`)
  writeText(file, yaml, { mustBeNew: true })
  return {
    exitCode: code,
    data: { ...summary, file },
    findings,
    toText: () => `${id} ${version} written to ${relative(context.cwd, file)}`,
  }
}
