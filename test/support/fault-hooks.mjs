/** Changes one exported constant of one compiled module as it is loaded. @see fault.mjs */

const [, file, name, value] = /^([\w/.-]+):(\w+)=(-?\d+)$/.exec(process.env.COREDRILL_FAULT ?? '') ?? []

export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context)
  if (file === undefined || !url.endsWith(`/${file}`) || loaded.source === undefined) return loaded
  const before = String(loaded.source)
  const source = before.replace(new RegExp(`^(export const ${name} = )-?\\d+;`, 'm'), `$1${value};`)
  if (source === before) throw new Error(`${url} has no constant ${name}`)
  return { ...loaded, source }
}
