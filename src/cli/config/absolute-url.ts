import { isAbsolute, resolve } from 'node:path'

/** True for what begins like a URL. */
export function hasScheme(url: string): boolean {
  return /^[a-z][a-z0-9+.-]+:/i.test(url)
}

/** `sqlite:./x.db` and plain paths become absolute, meant from `from`; other URLs stay as they are. */
export function absoluteUrl(url: string, from: string): string {
  if (!hasScheme(url)) return resolve(from, url)
  const path = /^sqlite:(?:\/\/(?=\/))?(.+)$/i.exec(url)?.[1]
  return path === undefined || isAbsolute(path) ? url : `sqlite:${resolve(from, path)}`
}
