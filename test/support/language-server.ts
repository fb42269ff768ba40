/** An editor's side of the language server protocol, as much of it as it takes to have a file checked. */

import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export interface Diagnostic {
  readonly message: string
  readonly range: { readonly start: { readonly line: number; readonly character: number } }
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
}

const SERVER = new URL('../../node_modules/yaml-language-server/bin/yaml-language-server', import.meta.url)

export class YamlLanguageServer {
  private readonly child: ChildProcessWithoutNullStreams
  private readonly waiting = new Map<number | string, (value: unknown) => void>()
  private received = Buffer.alloc(0)
  private lastId = 0

  constructor() {
    this.child = spawn(process.execPath, [fileURLToPath(SERVER), '--stdio'])
    this.child.stdout.on('data', (bytes: Buffer) => this.take(bytes))
  }

  /** @param rootUri folder that is open in the editor */
  async start(rootUri: string): Promise<void> {
    await this.request('initialize', { processId: process.pid, rootUri, capabilities: {} })
    this.send({ method: 'initialized', params: {} })
    const settings = { yaml: { validate: true, schemaStore: { enable: false }, yamlVersion: '1.2' } }
    this.send({ method: 'workspace/didChangeConfiguration', params: { settings } })
  }

  /** Open a file, as an editor does, and wait for what the server has against it. */
  async check(uri: string, text: string): Promise<readonly Diagnostic[]> {
    const found = new Promise((resolve) => this.waiting.set(uri, resolve))
    const textDocument = { uri, languageId: 'yaml', version: 1, text }
    this.send({ method: 'textDocument/didOpen', params: { textDocument } })
    return (await found) as readonly Diagnostic[]
  }

  stop(): void {
    this.child.kill()
  }

  private request(method: string, params: unknown): Promise<unknown> {
    const id = ++this.lastId
    const answer = new Promise((resolve) => this.waiting.set(id, resolve))
    this.send({ id, method, params })
    return answer
  }

  private send(message: Message): void {
    const body = JSON.stringify({ jsonrpc: '2.0', ...message })
    this.child.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  }

  private take(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes])
    for (;;) {
      const head = this.received.indexOf('\r\n\r\n')
      if (head < 0) return
      const length = Number(/Content-Length: (\d+)/.exec(this.received.toString('latin1', 0, head))?.[1])
      if (this.received.length < head + 4 + length) return
      const body = this.received.toString('utf8', head + 4, head + 4 + length)
      this.received = this.received.subarray(head + 4 + length)
      this.handle(JSON.parse(body) as Message)
    }
  }

  private handle({ id, method, params, result }: Message): void {
    if (method === 'textDocument/publishDiagnostics') {
      const { uri, diagnostics } = params as { uri: string; diagnostics: readonly Diagnostic[] }
      this.settle(uri, diagnostics)
    } else if (method === 'workspace/configuration') {
      // the defaults will do
      this.send({ id: id ?? 0, result: (params as { items: readonly unknown[] }).items.map(() => null) })
    } else if (method !== undefined && id !== undefined) {
      this.send({ id, result: null })
    } else if (id !== undefined) {
      this.settle(id, result)
    }
  }

  private settle(key: number | string, value: unknown): void {
    this.waiting.get(key)?.(value)
    this.waiting.delete(key)
  }
}
