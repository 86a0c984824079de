// Places an order and writes its event in one transaction: either both are there, or neither.
//
//     SHOP_URL="jdbc:postgresql://127.0.0.1/shop?user=shop&password=…" java -cp postgresql.jar examples/outbox/Order.java o-1004
//
// postgresql.jar is the JDBC driver, org.postgresql:postgresql.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Instant;

public class Order {
    private static final String EVENT = """
        {"orderId": "%s", "customerId": "%s", "currency": "EUR", "placedAt": "%s",
         "items": [{"sku": "TEA-250G", "quantity": 2, "unitPrice": 1290}]}""";

    static void place(Connection conn, String order, String customer) throws SQLException {
        conn.setAutoCommit(false);
        // Locks the order first: whoever changes the same order next waits here, so that the
        // events of one order are published in the order of their commits.
        try (PreparedStatement insert = conn.prepareStatement("INSERT INTO orders (id, customer) VALUES (?, ?)");
                PreparedStatement event = conn.prepareStatement(
                    "INSERT INTO outbox (aggregatetype, aggregateid, type, payload) VALUES ('orders', ?, 'orders.placed', ?::json)")) {
            insert.setString(1, order);
            insert.setString(2, customer);
            insert.executeUpdate();
            event.setString(1, order);
            event.setString(2, EVENT.formatted(order, customer, Instant.now()));
            event.executeUpdate();
            conn.commit();
        } catch (SQLException e) {
            conn.rollback();
            throw e;
        }
    }

    public static void main(String[] args) throws SQLException {
        try (Connection conn = DriverManager.getConnection(System.getenv("SHOP_URL"))) {
            place(conn, args[0], "c-318");
        }
        System.out.println("placed " + args[0]);
    }
}
