import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { openStore } from '../../src/store/index.ts'

// What only a real volume and a real user can show.

let folder: string
let mounts: string[]
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'treaty-'))
  mounts = []
})
afterEach(() => {
  for (const mount of mounts) execFileSync('umount', [mount])
  rmSync(folder, { recursive: true, force: true })
})

/** A volume of its own; undefined where this user may not mount one. */
function mountVolume(size: string): string | undefined {
  const at = join(folder, 'volume')
  mkdirSync(at)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', at])
  if (mounted.status !== 0) return undefined
  mounts.push(at)
  return at
}

it('a full disk refuses the write, keeps what was acknowledged, and is no harm once there is room', async (context) => {
  const volume = mountVolume('2m')
  if (volume === undefined) return context.skip('this user may not mount a small volume')
  const store = await openStore(join(volume, 'store.db'))
  let acknowledged = 0
  const fill = async () => {
    for (;;) {
      await store.log.append('s', ['x'.repeat(10_000)])
      acknowledged += 1
    }
  }
  await expect(fill()).rejects.toMatchObject({ code: 'STORE_FULL' })
  expect(acknowledged).toBeGreaterThan(5)
  expect(await store.log.length('s')).toBe(acknowledged)
  await expect(store.backup(join(volume, 'copy.db'))).rejects.toMatchObject({ code: 'STORE_FULL' })
  execFileSync('mount', ['-o', 'remount,size=20m', volume])
  await store.log.append('s', ['fits again'])
  expect(await store.log.length('s')).toBe(acknowledged + 1)
  await store.close()
  const again = await openStore(join(volume, 'store.db'))
  expect(await again.log.length('s')).toBe(acknowledged + 1)
  await again.close()
})

it('a disk without a single free block cannot hold a store', async (context) => {
  const volume = mountVolume('64k')
  if (volume === undefined) return context.skip('this user may not mount a small volume')
  const room = spawnSync('sh', ['-c', `cat /dev/zero > ${join(volume, 'ballast')}`])
  expect(room.status).not.toBe(0)
  await expect(openStore(join(volume, 'store.db'))).rejects.toMatchObject({ code: 'STORE_FULL' })
})

it('a volume that is mounted read-only cannot hold a store', async (context) => {
  const volume = mountVolume('2m')
  if (volume === undefined) return context.skip('this user may not mount a small volume')
  const file = join(volume, 'store.db')
  await (await openStore(file)).close()
  execFileSync('mount', ['-o', 'remount,ro', volume])
  await expect(openStore(file)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
  await expect(openStore(join(volume, 'other.db'))).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
  })
})

/** A user without rights, for whom permissions count; root passes them all. */
const nobody = 65_534

it('a file or folder that this user may not write is refused when it is opened', async (context) => {
  if (process.getuid?.() !== 0) {
    const file = join(folder, 'store.db')
    writeFileSync(file, '')
    chmodSync(file, 0o444)
    await expect(openStore(file)).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' })
    return
  }
  chmodSync(folder, 0o755)
  const own = join(folder, 'own')
  mkdirSync(own)
  chownSync(own, nobody, nobody)
  const locked = join(own, 'locked.db')
  writeFileSync(locked, '')
  chmodSync(locked, 0o444)
  const index = new URL('../../src/store/index.ts', import.meta.url)
  const program = `
    const { openStore } = await import(${JSON.stringify(index)})
    for (const file of process.argv.slice(1)) {
      await openStore(file).then(() => console.log('opened'), (error) => console.log(error.code))
    }`
  const files = [locked, join(folder, 'not-mine.db'), join(own, 'mine.db')]
  const tried = spawnSync(process.execPath, ['--input-type=module', '-e', program, ...files], {
    uid: nobody,
    gid: nobody,
    encoding: 'utf8',
  })
  // The checkout itself may lie where that user may not read.
  if (tried.status !== 0) return context.skip('another user cannot run this checkout')
  expect(tried.stdout.trim().split('\n')).toEqual([
    'STORE_UNAVAILABLE',
    'STORE_UNAVAILABLE',
    'opened',
  ])
})
