import io.tus.java.client.ProtocolException;
import io.tus.java.client.TusClient;
import io.tus.java.client.TusExecutor;
import io.tus.java.client.TusURLMemoryStore;
import io.tus.java.client.TusUpload;
import io.tus.java.client.TusUploader;
import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.URL;
import java.util.Arrays;

/**
 * java -cp tus-java-client.jar Upload.java ENDPOINT FILE
 *
 * <p>Uploads FILE with tus-java-client and prints the upload's URL. Every request of this client for bytes is a POST with
 * X-HTTP-Method-Override, chunked and with Expect: 100-continue. After an error it resumes.
 */
public final class Upload {
  private static final int CHUNK_BYTES = 1 << 20;
  private static final int REQUEST_BYTES = 16 << 20;
  private static URL location;

  public static void main(String[] words) throws Exception {
    TusClient client = new TusClient();
    client.setUploadCreationURL(new URI(words[0]).toURL());
    client.enableResuming(new TusURLMemoryStore());
    File file = new File(words[1]);
    TusUpload upload = new TusUpload(file);
    int[] delays = new int[50];
    Arrays.fill(delays, 20);
    TusExecutor executor =
        new TusExecutor() {
          @Override
          protected void makeAttempt() throws ProtocolException, IOException {
            // the stream of an interrupted attempt has been read; each attempt needs a fresh one
            TusUpload fresh = new TusUpload(file);
            fresh.setFingerprint(upload.getFingerprint());
            TusUploader uploader = client.resumeOrCreateUpload(fresh);
            uploader.setChunkSize(CHUNK_BYTES);
            uploader.setRequestPayloadSize(REQUEST_BYTES);
            location = uploader.getUploadURL();
            try {
              int sent;
              do {
                sent = uploader.uploadChunk();
              } while (sent > -1);
              uploader.finish();
            } catch (IOException | ProtocolException error) {
              System.err.println("interrupted: " + error);
              throw error;
            }
          }
        };
    executor.setDelays(delays);
    if (!executor.makeAttempts()) {
      System.exit(1);
    }
    System.out.println(location);
  }
}
