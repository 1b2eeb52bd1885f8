// Command tusgo uploads a file with the tusgo library and prints the upload's URL.
//
//	tusgo MODE ENDPOINT FILE
//
// MODE is plain, checksum (sha1 in the head of each chunk), trailer (sha1 in the trailers), creation
// (the first chunk comes with the POST) or concatenation (two halves). After an error it asks the
// server for its offset and goes on from there.
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"

	"github.com/bdragon300/tusgo"
)

const (
	chunkBytes = 8 << 20
	attempts   = 50
)

type source struct {
	file *os.File
	size int64
}

// send moves the bytes of source from *first* on into the upload, resuming after every error.
func send(stream *tusgo.UploadStream, from source, first int64, trailer bool) error {
	var failure error
	for range attempts {
		if _, failure = stream.Sync(); failure != nil {
			continue
		}
		if stream.Tell() == stream.Len() {
			return nil
		}
		if failure = sendOnce(stream, from, first, trailer); failure != nil {
			fmt.Fprintln(os.Stderr, "interrupted:", failure)
			stream.ForceClean()
		}
	}
	return fmt.Errorf("given up at %d of %d: %w", stream.Tell(), stream.Len(), failure)
}

func sendOnce(stream *tusgo.UploadStream, from source, first int64, trailer bool) error {
	for stream.Tell() < stream.Len() {
		size := stream.Len() - stream.Tell()
		if trailer {
			size = min(size, chunkBytes)
		}
		section := io.NewSectionReader(from.file, first+stream.Tell(), size)
		if _, err := stream.ReadFrom(section); err != nil {
			return err
		}
	}
	return nil
}

func newStream(client *tusgo.Client, upload *tusgo.Upload, mode string) *tusgo.UploadStream {
	stream := tusgo.NewUploadStream(client, upload)
	if mode == "checksum" || mode == "trailer" {
		stream = stream.WithChecksumAlgorithm("sha1")
	}
	stream.ChunkSize = chunkBytes
	if mode == "trailer" {
		stream.ChunkSize = tusgo.NoChunked
	}
	return stream
}

func create(client *tusgo.Client, upload *tusgo.Upload, size int64, partial bool) error {
	var failure error
	for range attempts {
		if _, failure = client.CreateUpload(upload, size, partial, map[string]string{"filename": "sample.bin"}); failure == nil {
			return nil
		}
	}
	return failure
}

func createWith(client *tusgo.Client, upload *tusgo.Upload, first []byte, size int64) error {
	var failure error
	for range attempts {
		if _, _, failure = client.CreateUploadWithData(upload, first, size, false, nil); failure == nil {
			return nil
		}
	}
	return failure
}

func whole(client *tusgo.Client, from source, mode string) (tusgo.Upload, error) {
	upload := tusgo.Upload{}
	if mode == "creation" {
		first := make([]byte, chunkBytes)
		if _, err := from.file.ReadAt(first, 0); err != nil {
			return upload, err
		}
		if err := createWith(client, &upload, first, from.size); err != nil {
			return upload, err
		}
	} else if err := create(client, &upload, from.size, false); err != nil {
		return upload, err
	}
	return upload, send(newStream(client, &upload, mode), from, 0, mode == "trailer")
}

func halves(client *tusgo.Client, from source) (tusgo.Upload, error) {
	final := tusgo.Upload{}
	half := from.size / 2
	parts := make([]tusgo.Upload, 2)
	for at, size := range []int64{half, from.size - half} {
		if err := create(client, &parts[at], size, true); err != nil {
			return final, err
		}
		if err := send(newStream(client, &parts[at], "plain"), from, int64(at)*half, false); err != nil {
			return final, err
		}
	}
	_, err := client.ConcatenateUploads(&final, parts, nil)
	return final, err
}

func run(words []string) error {
	if len(words) != 3 {
		return errors.New("usage: tusgo MODE ENDPOINT FILE")
	}
	mode := words[0]
	base, err := url.Parse(words[1])
	if err != nil {
		return err
	}
	file, err := os.Open(words[2])
	if err != nil {
		return err
	}
	about, err := file.Stat()
	if err != nil {
		return err
	}
	client := tusgo.NewClient(http.DefaultClient, base)
	if _, err = client.UpdateCapabilities(); err != nil {
		return err
	}
	from := source{file: file, size: about.Size()}
	var upload tusgo.Upload
	if mode == "concatenation" {
		upload, err = halves(client, from)
	} else {
		upload, err = whole(client, from, mode)
	}
	if err == nil {
		fmt.Println(upload.Location)
	}
	return err
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
