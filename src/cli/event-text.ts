/** An event as people read it: what other programs send may say none. */
export function eventText(event: string): string {
  return event === '' ? '(no type)' : event
}
