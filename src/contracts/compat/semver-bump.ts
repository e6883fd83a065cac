import { parseVersion } from '../semver.ts'

/** How far a version must be raised; `unknown`: a verdict is missing, so somebody must say. */
export type Bump = 'none' | 'patch' | 'minor' | 'major' | 'unknown'

const order: readonly Bump[] = ['none', 'patch', 'minor', 'unknown', 'major']

/** The greatest of them; a break outweighs what is not known. */
export function greatestBump(bumps: Iterable<Bump>): Bump {
  let greatest: Bump = 'none'
  for (const bump of bumps) {
    if (order.indexOf(bump) > order.indexOf(greatest)) greatest = bump
  }
  return greatest
}

/**
 * The least version that may follow `version` (semver 2.0.0). Undefined where the bump is not known, or the version
 * none. A pre-release of the same numbers may go on: `2.0.0-rc.1` is followed by `2.0.0` at the earliest.
 */
export function nextVersion(version: string, bump: Bump): string | undefined {
  const parsed = parseVersion(version)
  if (parsed === undefined || bump === 'unknown') return undefined
  if (bump === 'none') return version
  const { major, minor, patch, prerelease } = parsed
  const isPrerelease = prerelease.length > 0
  if (bump === 'major')
    return isPrerelease && minor === 0 && patch === 0 ? `${major}.0.0` : `${major + 1}.0.0`
  if (bump === 'minor')
    return isPrerelease && patch === 0 ? `${major}.${minor}.0` : `${major}.${minor + 1}.0`
  return isPrerelease ? `${major}.${minor}.${patch}` : `${major}.${minor}.${patch + 1}`
}

/** True when the change from one version to the other is at least as great as the bump asks for. */
export function isBumpEnough(before: string, after: string, bump: Bump): boolean {
  const [old, now] = [parseVersion(before), parseVersion(after)]
  if (old === undefined || now === undefined) return false
  if (bump === 'none') return true
  if (now.major !== old.major) return now.major > old.major
  if (bump === 'major' || bump === 'unknown') return false
  if (now.minor !== old.minor) return now.minor > old.minor
  if (bump === 'minor') return false
  return now.patch > old.patch || (now.patch === old.patch && old.prerelease.length > 0)
}
