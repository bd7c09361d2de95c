// A MongoDB-protocol server in memory, by mongo-java-server. Run from source: java -cp "<jars>/*" <this file> <port>.
import de.bwaldvogel.mongo.MongoBackend;
import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

public class MongoJavaServer {
  public static void main(String[] arguments) throws Exception {
    MongoBackend backend = new MemoryBackend().version(new MongoVersion() {
      public List<Integer> getVersionArray() { return List.of(7, 0, 0); }
      public int getWireVersion() { return 21; }  // without it, current drivers refuse the server as too old
    });
    MongoServer server = new MongoServer(backend);
    server.bind("127.0.0.1", Integer.parseInt(arguments[0]));
    Runtime.getRuntime().addShutdownHook(new Thread(server::shutdown));
    System.out.println("listening 127.0.0.1:" + arguments[0]);
    Thread.currentThread().join();
  }
}
