import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../core/clock.ts'
import { watchFiles } from './reload.ts'

const root = mkdtempSync(join(tmpdir(), 'treaty-reload-'))
const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})
afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Watches a folder with a file; `next` resolves with what changed. */
function watched(name: string) {
  const folder = join(root, name)
  mkdirSync(join(folder, 'src'), { recursive: true })
  writeFileSync(join(folder, 'src', 'handlers.ts'), '0')
  const seen: (readonly string[])[] = []
  let wake = () => {}
  const stop = watchFiles(folder, systemClock, (files) => {
    seen.push(files.map((file) => relative(folder, file)))
    wake()
  })
  stops.push(stop)
  const next = async () => {
    while (seen.length === 0) {
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return seen.shift()
  }
  return { folder, next }
}

describe('treaty dev', () => {
  it('sees each save of an editor that replaces the file, not the first alone', async () => {
    const { folder, next } = watched('replaced')
    for (const text of ['1', '2', '3']) {
      writeFileSync(join(folder, 'src', 'sedXYZ'), text)
      renameSync(join(folder, 'src', 'sedXYZ'), join(folder, 'src', 'handlers.ts'))
      expect(await next()).toEqual(['src/handlers.ts'])
    }
  })

  it('sees files of a folder that came later, and of a project below a folder called dist', async () => {
    const { folder, next } = watched('dist/app')
    mkdirSync(join(folder, 'contracts'))
    writeFileSync(join(folder, 'contracts', 'a.yaml'), 'a')
    expect(await next()).toEqual(['contracts/a.yaml'])
    writeFileSync(join(folder, 'contracts', 'a.yaml'), 'b')
    expect(await next()).toEqual(['contracts/a.yaml'])
  })

  it('takes no notice of databases and of node_modules', async () => {
    const { folder, next } = watched('quiet')
    mkdirSync(join(folder, 'node_modules'))
    writeFileSync(join(folder, 'node_modules', 'a.js'), '')
    writeFileSync(join(folder, 'treaty.db-wal'), '')
    writeFileSync(join(folder, 'src', 'handlers.ts'), '1')
    expect(await next()).toEqual(['src/handlers.ts'])
  })
})
