/** The browser on the process's own terminal: from opening it to giving it back. */

import { Browser } from './driver.ts'
import { Dump } from './dump.ts'
import type { Happening } from './reducer.ts'
import type { Target } from '../target/target.ts'
import { themes, type ThemeName } from './theme.ts'
import { Terminal } from './widgets.ts'

export interface BrowseOptions {
  /** how the dump is called on the screen */
  readonly name: string
  readonly ascii: boolean
  readonly theme: ThemeName
  readonly mouse: boolean
}

/**
 * Browse until the user leaves.
 *
 * @returns the exit status: 0, or 128 and the number of the signal that ended it
 * @throws whatever went wrong, after the terminal was given back
 */
export async function browse(target: Target, options: BrowseOptions): Promise<number> {
  const dump = new Dump(target, options)
  return new Promise((resolve, reject) => {
    let idle: NodeJS.Immediate | undefined
    const terminal: Terminal = new Terminal({
      theme: themes[options.theme],
      ascii: options.ascii,
      mouse: options.mouse,
      events: {
        key: (name, ch) => act({ type: 'key', name, ch }),
        mouse: (action, x, y) => act({ type: 'mouse', action, x, y }),
        redraw: (size) => act({ type: 'resize', size }),
        ended: (status, error) => (error === undefined ? finish(status) : fail(error)),
      },
    })
    const finish = (status: number): void => {
      if (idle !== undefined) clearImmediate(idle)
      terminal.close()
      resolve(status)
    }
    const fail = (error: unknown): void => {
      if (idle !== undefined) clearImmediate(idle)
      terminal.close()
      reject(error instanceof Error ? error : new Error(String(error)))
    }
    const guarded = (work: () => void): void => {
      try {
        work()
      } catch (error) {
        fail(error)
      }
    }
    const browser = start(() => {
      const host = {
        quit: () => finish(0),
        suspend: () => terminal.suspend(),
        redraw: () => terminal.forget(),
        copy: (text: string) => terminal.copy(text),
      }
      return new Browser(dump, terminal.size, host)
    }, fail)
    if (browser === undefined) return
    const draw = (): void => {
      terminal.draw(browser.lines())
      if (idle === undefined && browser.pending) idle = setImmediate(() => guarded(work))
    }
    /** A slice between two keys: what is left of lists, searches and explanations. */
    const work = (): void => {
      idle = undefined
      browser.work()
      draw()
    }
    const act = (happening: Happening): void => guarded(() => (browser.handle(happening), draw()))
    browser.changed = () => guarded(draw)
    guarded(draw)
  })
}

function start<T>(make: () => T, fail: (error: unknown) => void): T | undefined {
  try {
    return make()
  } catch (error) {
    fail(error)
    return undefined
  }
}
