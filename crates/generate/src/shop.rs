//! The shop whose requests fill the ordinary traces: who asks whom, and what they ask databases.

use crate::catalog::Service;

/// What a service does when it is asked.
pub(crate) struct Operation {
    pub(crate) service: Service,
    pub(crate) method: &'static str,
    /// Route, or for a consumer the topic.
    pub(crate) route: &'static str,
    /// What the service itself needs for it, spread over its steps.
    pub(crate) own_ns: u64,
    pub(crate) steps: &'static [Step],
}

/// A thing to do, with the per cent of requests that do it.
pub(crate) enum Step {
    Query(u64, &'static Query),
    Cache(u64, &'static str),
    Internal(u64, &'static str, u64),
    Call(u64, &'static Operation),
    /// Puts a message on a queue; whoever takes it does so later.
    Publish(u64, &'static Operation),
}

pub(crate) struct Query {
    pub(crate) verb: &'static str,
    pub(crate) table: &'static str,
    pub(crate) text: &'static str,
    pub(crate) usual_ns: u64,
}

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

const fn query(
    verb: &'static str,
    table: &'static str,
    text: &'static str,
    usual_ns: u64,
) -> Query {
    Query { verb, table, text, usual_ns }
}

static PRODUCTS: Query = query(
    "SELECT",
    "products",
    "SELECT id, name, price, tax_class FROM products WHERE category_id = $1 ORDER BY rank LIMIT $2",
    5_200 * US,
);
static PRODUCT: Query =
    query("SELECT", "products", "SELECT * FROM products WHERE id = $1", 1_100 * US);
static SEARCH: Query = query(
    "SELECT",
    "products",
    "SELECT id, name FROM products WHERE search @@ plainto_tsquery($1) LIMIT 40",
    24 * MS,
);
static STOCK: Query =
    query("SELECT", "stock", "SELECT place, count FROM stock WHERE product_id = $1", 900 * US);
static RESERVE: Query = query(
    "UPDATE",
    "stock",
    "UPDATE stock SET reserved = reserved + $1 WHERE product_id = $2 AND count - reserved >= $1",
    2_600 * US,
);
static REVIEWS: Query = query(
    "SELECT",
    "reviews",
    "SELECT author, stars, body FROM reviews WHERE product_id = $1 ORDER BY written DESC LIMIT 10",
    3_400 * US,
);
static CART_ITEMS: Query =
    query("SELECT", "cart_items", "SELECT * FROM cart_items WHERE cart_id = $1", 1_300 * US);
static CART_WRITE: Query = query(
    "INSERT",
    "cart_items",
    "INSERT INTO cart_items (cart_id, product_id, count) VALUES ($1, $2, $3) ON CONFLICT DO UPDATE",
    1_900 * US,
);
static ORDER_WRITE: Query = query(
    "INSERT",
    "orders",
    "INSERT INTO orders (account_id, total, currency, state) VALUES ($1, $2, $3, $4) RETURNING id",
    3_100 * US,
);
static ORDER_LINES: Query = query(
    "INSERT",
    "order_lines",
    "INSERT INTO order_lines SELECT * FROM unnest($1::order_line[])",
    4_400 * US,
);
static ORDERS: Query = query(
    "SELECT",
    "orders",
    "SELECT id, total, state FROM orders WHERE account_id = $1 ORDER BY placed DESC LIMIT 20",
    6_800 * US,
);
static ACCOUNT: Query =
    query("SELECT", "accounts", "SELECT * FROM accounts WHERE id = $1", 800 * US);
static PAYMENT: Query = query(
    "INSERT",
    "payments",
    "INSERT INTO payments (order_id, amount, method, state) VALUES ($1, $2, $3, $4)",
    2_700 * US,
);
static TEMPLATE: Query =
    query("SELECT", "templates", "SELECT subject, body FROM templates WHERE name = $1", 700 * US);

static SESSION: Operation = Operation {
    service: Service::Accounts,
    method: "GET",
    route: "/internal/sessions/{session}",
    own_ns: 1_200 * US,
    steps: &[Step::Cache(100, "GET"), Step::Query(20, &ACCOUNT), Step::Cache(18, "SETEX")],
};
static LIST_PRODUCTS: Operation = Operation {
    service: Service::Catalog,
    method: "GET",
    route: "/categories/{category}/products",
    own_ns: 6 * MS,
    steps: &[
        Step::Cache(90, "MGET"),
        Step::Query(60, &PRODUCTS),
        Step::Query(45, &STOCK),
        Step::Internal(70, "PriceList.apply", 2 * MS),
    ],
};
static SHOW_PRODUCT: Operation = Operation {
    service: Service::Catalog,
    method: "GET",
    route: "/products/{product}",
    own_ns: 4 * MS,
    steps: &[
        Step::Cache(95, "GET"),
        Step::Query(55, &PRODUCT),
        Step::Query(60, &STOCK),
        Step::Query(40, &REVIEWS),
    ],
};
static SEARCH_PRODUCTS: Operation = Operation {
    service: Service::Catalog,
    method: "GET",
    route: "/search",
    own_ns: 9 * MS,
    steps: &[
        Step::Internal(80, "Query.normalize", 700 * US),
        Step::Query(100, &SEARCH),
        Step::Query(70, &STOCK),
        Step::Cache(50, "SETEX"),
    ],
};
static READ_CART: Operation = Operation {
    service: Service::Cart,
    method: "GET",
    route: "/carts/{cart}",
    own_ns: 2 * MS,
    steps: &[
        Step::Cache(70, "HGETALL"),
        Step::Query(60, &CART_ITEMS),
        Step::Call(50, &SHOW_PRODUCT),
    ],
};
static ADD_TO_CART: Operation = Operation {
    service: Service::Cart,
    method: "POST",
    route: "/carts/{cart}/items",
    own_ns: 3 * MS,
    steps: &[Step::Call(80, &SHOW_PRODUCT), Step::Query(100, &CART_WRITE), Step::Cache(90, "HSET")],
};
static AUTHORIZE: Operation = Operation {
    service: Service::Payments,
    method: "POST",
    route: "/authorizations",
    own_ns: 210 * MS,
    steps: &[
        Step::Internal(90, "FraudCheck.Score", 12 * MS),
        Step::Query(100, &PAYMENT),
        Step::Cache(60, "SET"),
    ],
};
static SEND_MAIL: Operation = Operation {
    service: Service::Notifier,
    method: "",
    route: "order-placed",
    own_ns: 26 * MS,
    steps: &[
        Step::Query(100, &TEMPLATE),
        Step::Query(80, &ACCOUNT),
        Step::Internal(100, "mail.render", 8 * MS),
        Step::Internal(95, "smtp.send", 140 * MS),
    ],
};
static PLACE_ORDER: Operation = Operation {
    service: Service::Checkout,
    method: "POST",
    route: "/orders",
    own_ns: 14 * MS,
    steps: &[
        Step::Call(100, &READ_CART),
        Step::Query(100, &RESERVE),
        Step::Call(97, &AUTHORIZE),
        Step::Query(96, &ORDER_WRITE),
        Step::Query(95, &ORDER_LINES),
        Step::Cache(90, "DEL"),
        Step::Publish(94, &SEND_MAIL),
    ],
};
static LIST_ORDERS: Operation = Operation {
    service: Service::Checkout,
    method: "GET",
    route: "/accounts/{account}/orders",
    own_ns: 5 * MS,
    steps: &[Step::Query(100, &ORDERS), Step::Internal(60, "OrderView.of", 3 * MS)],
};

/// What the edge does for everybody: who is it, and may they?
const SIGN_IN: Step = Step::Call(75, &SESSION);
const LIMIT_RATE: Step = Step::Cache(60, "INCR");

const fn edge(method: &'static str, route: &'static str, steps: &'static [Step]) -> Operation {
    Operation { service: Service::Edge, method, route, own_ns: 900 * US, steps }
}

static EDGE_PRODUCTS: Operation =
    edge("GET", "/api/products", &[LIMIT_RATE, Step::Call(100, &LIST_PRODUCTS)]);
static EDGE_PRODUCT: Operation =
    edge("GET", "/api/products/{product}", &[LIMIT_RATE, Step::Call(100, &SHOW_PRODUCT)]);
static EDGE_SEARCH: Operation =
    edge("GET", "/api/search", &[LIMIT_RATE, Step::Call(100, &SEARCH_PRODUCTS)]);
static EDGE_ADD: Operation =
    edge("POST", "/api/cart/items", &[LIMIT_RATE, SIGN_IN, Step::Call(98, &ADD_TO_CART)]);
static EDGE_CART: Operation = edge("GET", "/api/cart", &[SIGN_IN, Step::Call(99, &READ_CART)]);
static EDGE_ORDER: Operation =
    edge("POST", "/api/orders", &[LIMIT_RATE, SIGN_IN, Step::Call(96, &PLACE_ORDER)]);
static EDGE_ORDERS: Operation =
    edge("GET", "/api/orders", &[SIGN_IN, Step::Call(98, &LIST_ORDERS)]);

const RENDER: Step = Step::Internal(85, "renderToPipeableStream", 9 * MS);

const fn page(method: &'static str, route: &'static str, steps: &'static [Step]) -> Operation {
    Operation { service: Service::ShopWeb, method, route, own_ns: 7 * MS, steps }
}

static HOME: Operation = page("GET", "/", &[Step::Call(100, &EDGE_PRODUCTS), RENDER]);
static CATEGORY: Operation =
    page("GET", "/c/{category}", &[Step::Call(100, &EDGE_PRODUCTS), RENDER]);
static PRODUCT_PAGE: Operation = page(
    "GET",
    "/p/{product}",
    &[Step::Call(100, &EDGE_PRODUCT), Step::Call(40, &EDGE_PRODUCTS), RENDER],
);
static SEARCH_PAGE: Operation = page("GET", "/search", &[Step::Call(100, &EDGE_SEARCH), RENDER]);
static ADD: Operation =
    page("POST", "/cart/items", &[Step::Call(100, &EDGE_ADD), Step::Call(60, &EDGE_CART)]);
static CART_PAGE: Operation = page("GET", "/cart", &[Step::Call(100, &EDGE_CART), RENDER]);
static ORDER: Operation = page("POST", "/order", &[Step::Call(100, &EDGE_ORDER), RENDER]);
static ORDERS_PAGE: Operation = page("GET", "/orders", &[Step::Call(100, &EDGE_ORDERS), RENDER]);
static STOCK_FEED: Operation = Operation {
    service: Service::Catalog,
    method: "",
    route: "stock-changed",
    own_ns: 3 * MS,
    steps: &[Step::Query(100, &STOCK), Step::Cache(100, "DEL"), Step::Query(15, &PRODUCT)],
};

/// What comes from outside, and how often in comparison.
pub(crate) static ENTRIES: [(u64, &Operation); 9] = [
    (16, &HOME),
    (20, &CATEGORY),
    (24, &PRODUCT_PAGE),
    (12, &SEARCH_PAGE),
    (8, &ADD),
    (8, &CART_PAGE),
    (4, &ORDER),
    (5, &ORDERS_PAGE),
    (10, &STOCK_FEED),
];
