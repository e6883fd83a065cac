import { execFileSync } from 'node:child_process'
import { mkdtempSync, realpathSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'

/** The files of a repository as they were at some commit, in a folder of their own until it is closed. */
export interface GitTree extends Disposable {
  /** Root of the copy. */
  readonly root: string
  /** Where `path` of the repository stands in the copy; it may not be there. */
  readonly path: string
}

const bytesMax = 268_435_456

function git(cwd: string, args: readonly string[], more: { index?: string; input?: string } = {}) {
  return execFileSync('git', [...args], {
    cwd,
    encoding: 'utf8',
    maxBuffer: bytesMax,
    stdio: ['pipe', 'pipe', 'pipe'],
    ...(more.input === undefined ? {} : { input: more.input }),
    ...(more.index === undefined ? {} : { env: { ...process.env, GIT_INDEX_FILE: more.index } }),
  })
}

function attempt(cwd: string, args: readonly string[]): string | undefined {
  try {
    return git(cwd, args).trim()
  } catch {
    return undefined // No git, no repository, or no such thing in it.
  }
}

/** The folder from which git is asked about a path. */
function folderOf(path: string): string {
  return statSync(path).isDirectory() ? path : dirname(path)
}

/** The commit that a name means in the repository of `path`; undefined where there is neither. */
export function resolveRevision(path: string, name: string): string | undefined {
  const folder = folderOf(path)
  return attempt(folder, [
    'rev-parse',
    '--verify',
    '--quiet',
    '--end-of-options',
    `${name}^{commit}`,
  ])
}

/**
 * Copies what contracts are made of (YAML, JSON, Markdown) from a commit, through an index of its own: neither the
 * working tree nor the index of the repository is touched. `folder`: only what stands beside and below the path, which
 * is quick in a large repository; `all`: the whole, for contracts that refer elsewhere.
 */
export function checkOutTree(path: string, commit: string, scope: 'folder' | 'all'): GitTree {
  const folder = folderOf(path)
  const top = git(folder, ['rev-parse', '--show-toplevel']).replace(/\n$/, '')
  const root = mkdtempSync(join(realpathSync(tmpdir()), 'treaty-against-'))
  const index = join(root, '.index')
  try {
    git(top, ['read-tree', commit], { index })
    const prefix = relative(realpathSync(top), realpathSync(folder))
    const within = scope === 'all' || prefix === '' ? [] : ['--', `:(top,literal)${prefix}`]
    const names = git(top, ['ls-files', '-z', ...within], { index })
      .split('\0')
      .filter((name) => /\.(?:ya?ml|json|md)$/i.test(name))
    const input = names.join('\0')
    git(top, ['checkout-index', '-z', '--stdin', `--prefix=${root}${sep}`], { index, input })
  } catch (error) {
    rmSync(root, { recursive: true, force: true })
    throw error
  }
  return {
    root,
    path: join(root, relative(realpathSync(top), realpathSync(path))),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  }
}
