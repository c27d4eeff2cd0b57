<?php

declare(strict_types=1);

namespace Pogo\WebSocket\Tests\Laravel;

use PHPUnit\Framework\TestCase;
use Pogo\WebSocket\Laravel\Install\BroadcastingConfig;
use Pogo\WebSocket\Laravel\Install\CannotEdit;
use Pogo\WebSocket\Laravel\Install\EchoSnippet;
use Pogo\WebSocket\Laravel\Install\Edit;
use Pogo\WebSocket\Laravel\Install\EnvFile;
use Pogo\WebSocket\Laravel\Install\Variable;

/**
 * What of the installation needs no application, or no application can be in.
 */
final class InstallTest extends TestCase
{
    private const NOBODY = 65534;

    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/pogo-install-' . bin2hex(random_bytes(8));
        mkdir($this->folder);
    }

    protected function tearDown(): void
    {
        posix_seteuid(posix_getuid());
        foreach (glob("$this->folder/{,.}[!.]*", GLOB_BRACE) as $file) {
            unlink($file);
        }
        rmdir($this->folder);
    }

    /**
     * A .env that Laravel cannot read is left as it is. What is wrong in it is not repeated, as it may
     * be a secret.
     */
    public function testUnreadableEnvironment(): void
    {
        $path = $this->write('.env', "APP KEY=s3cret\n");

        try {
            EnvFile::edit($path, [new Variable('POGO_APP_ID', 'pogo-app')]);
            self::fail('it was edited');
        } catch (CannotEdit $error) {
            self::assertSame('it cannot be understood', $error->reason);
            self::assertSame('POGO_APP_ID=pogo-app', $error->snippet);
            self::assertStringNotContainsString('s3cret', (string) $error);
        }
    }

    /**
     * A value that never ends would swallow what is added below it.
     */
    public function testOpenEnvironment(): void
    {
        $path = $this->write('.env', "APP_KEY=\"s3cret\n");

        $this->expectException(CannotEdit::class);
        EnvFile::edit($path, [new Variable('POGO_APP_ID', 'pogo-app')]);
    }

    /**
     * A file that cannot be written is told, with what to put into it, but not the new secret.
     */
    public function testUnwritableFile(): void
    {
        $path = $this->write('.env', "APP_NAME=Shop\n");
        chmod($path, 0444);
        $edit = EnvFile::edit($path, [
            new Variable('POGO_APP_ID', 'pogo-app'),
            new Variable('POGO_APP_SECRET', 's3cret', isSecret: true),
        ]);
        // A class that is loaded now needs no permission later.
        class_exists(CannotEdit::class);

        try {
            $this->applyAsNobody($edit);
            self::fail('it was written');
        } catch (CannotEdit $error) {
            self::assertSame("POGO_APP_ID=pogo-app\nPOGO_APP_SECRET=(40 random hex digits)", $error->snippet);
        }
        self::assertSame("APP_NAME=Shop\n", file_get_contents($path));
    }

    /**
     * A folder that cannot be made is told too.
     */
    public function testUnwritableFolder(): void
    {
        $path = $this->write('resources', '');
        $edit = EchoSnippet::edit("$path/js/pogo.js", 'VITE', false);

        $this->expectException(CannotEdit::class);
        $this->expectExceptionMessage('its directory cannot be made');
        $edit->apply();
    }

    /**
     * @return iterable<string, array{string, string, string}>
     */
    public function defaults(): iterable
    {
        yield 'Laravel 8' => ["'default' => env('BROADCAST_DRIVER', 'null'),", '8.83.26', 'BROADCAST_DRIVER'];
        yield 'Laravel 13' => ["'default' => env('BROADCAST_CONNECTION', 'null'),", '13.31.0', 'BROADCAST_CONNECTION'];
        yield 'upgraded' => ["\"default\"=>env( \"BROADCAST_DRIVER\" ),", '11.0.1', 'BROADCAST_DRIVER'];
        yield 'own words, old' => ["'default' => 'log',", '10.48.29', 'BROADCAST_DRIVER'];
        yield 'own words, new' => ["'default' => 'log',", '11.0.0', 'BROADCAST_CONNECTION'];
    }

    /**
     * The default connection is set by the variable that the application reads.
     *
     * @dataProvider defaults
     */
    public function testVariableOfTheDefault(string $line, string $laravel, string $expected): void
    {
        $path = $this->write('broadcasting.php', "<?php return [$line];");

        self::assertSame($expected, BroadcastingConfig::defaultVariable($path, $laravel));
    }

    /**
     * Where there is no file, Laravel's version tells.
     */
    public function testVariableOfTheDefaultWithoutAFile(): void
    {
        $path = "$this->folder/broadcasting.php";

        self::assertSame('BROADCAST_DRIVER', BroadcastingConfig::defaultVariable($path, '9.52.16'));
        self::assertSame('BROADCAST_CONNECTION', BroadcastingConfig::defaultVariable($path, '12.1.0'));
    }

    /**
     * A file that is no PHP is left as it is.
     */
    public function testBrokenConfiguration(): void
    {
        $path = $this->write('broadcasting.php', "<?php return ['connections' => [;");

        $this->expectException(CannotEdit::class);
        $this->expectExceptionMessage('its connections are no plain array');
        BroadcastingConfig::edit($path);
    }

    private function write(string $name, string $text): string
    {
        file_put_contents("$this->folder/$name", $text);
        return "$this->folder/$name";
    }

    private function applyAsNobody(Edit $edit): void
    {
        // Root may write everything.
        if (posix_geteuid() === 0) {
            posix_seteuid(self::NOBODY);
        }
        try {
            $edit->apply();
        } finally {
            posix_seteuid(posix_getuid());
        }
    }
}
