// node upload.mjs ENDPOINT FILE URLS [MODE...]
//
// Uploads FILE with tus-js-client and prints the upload's URL. URLS is a file in which the client keeps
// the URLs of unfinished uploads, so that a second run goes on where a killed one was.
// MODE: parallel, deferred, creation, override, chunked, chunk:BYTES, bearer:TOKEN, buffer (FILE is read into
// memory before), ietf-draft-03 and ietf-draft-05 (the IETF's protocol), in any combination.
import { createReadStream, readFileSync } from 'node:fs'
import { argv, exit, stderr, stdout } from 'node:process'
import { PassThrough } from 'node:stream'
import { FileUrlStorage, Upload } from 'tus-js-client'

const [endpoint, file, urls, ...modes] = argv.slice(2)
const MIB = 1024 * 1024

function fail(error) {
  stderr.write(`${error.stack ?? error}\n`)
  exit(1)
}

const options = {
  endpoint,
  retryDelays: Array(20).fill(20),
  metadata: { filename: 'sample.bin', filetype: 'application/octet-stream' },
  urlStorage: new FileUrlStorage(urls),
  onError: fail,
  onSuccess() {
    stdout.write(`${upload.url}\n`)
    exit(0)
  },
}
const told = (name) => modes.find((mode) => mode.startsWith(name))?.slice(name.length)
if (told('bearer:')) options.headers = { Authorization: `Bearer ${told('bearer:')}` }
if (told('ietf-')) options.protocol = `ietf-${told('ietf-')}`
if (modes.includes('chunked')) options.chunkSize = 8 * MIB
if (told('chunk:')) options.chunkSize = Number(told('chunk:'))
if (modes.includes('parallel')) options.parallelUploads = 3
if (modes.includes('creation')) options.uploadDataDuringCreation = true
if (modes.includes('override')) options.overridePatchMethod = true
if (modes.includes('deferred')) {
  options.uploadLengthDeferred = true
  options.chunkSize ??= 8 * MIB
}
// A length that is not known is a stream's; of a file, this client would announce whole chunks to the end.
const content = modes.includes('buffer') ? readFileSync(file) : createReadStream(file)
const input = modes.includes('deferred') ? content.pipe(new PassThrough()) : content
const upload = new Upload(input, options)
upload
  .findPreviousUploads()
  .then((previous) => {
    if (previous.length > 0) upload.resumeFromPreviousUpload(previous[0])
    upload.start()
  })
  .catch(fail)
